"""Packages kliep_tf and tfrecords_tools.

Ranges stand here, each with its reason; `make` installs the exact releases of
requirements.lock, which `make lock` resolves from these ranges.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# One release of TensorFlow at a time: what is measured about replicas, XLA and
# exported graphs was measured on this one.
TENSORFLOW = ">=2.21,<2.22"

# Where no other reason is given, a lower bound is the oldest release that the
# tests were run with and an upper one keeps the next major release out, until
# they were run with that too.
REQUIREMENTS = [
    f"tensorflow{TENSORFLOW}",
    # TensorFlow takes any Keras from 3.12. The custom train_step, optimizers
    # under a strategy and ExportArchive are used as 3.15 has them.
    "keras>=3.15,<3.16",
    # TensorFlow no longer brings TensorBoard; releases of both go together.
    f"tensorboard{TENSORFLOW}",
    # Flags. Only kliep_tf/cli.py imports it.
    "absl-py>=2.1,<3",
    # Arrays. 2.1 is the first with wheels for Python 3.13.
    "numpy>=2.1,<3",
    # Palette indices, which TensorFlow cannot read. 11 is the first with
    # wheels for Python 3.13.
    "pillow>=11,<14",
    # split.mat and statistics. 1.14.1 is the first with wheels for 3.13.
    "scipy>=1.14.1,<2",
    # Figures of the reports.
    "matplotlib>=3.10,<4",
    # Progress outside of fit.
    "tqdm>=4.66,<5",
    # Reports in HTML and Markdown are templates.
    "jinja2>=3.1,<4",
    # One process in a directory: locks that are given back by the system when
    # their process dies, and no others.
    "filelock>=3.32,<4",
    # Pretrained weights in the format that hubs give them.
    "safetensors>=0.5,<1",
    # VGG-16's weights as Keras publishes them. Keras brings it.
    "h5py>=3.11,<4",
    # TFRecord's checksums, where a damaged shard is read record by record.
    "google-crc32c>=1.6,<2",
    # Logistic regression as a density ratio, principal components.
    "scikit-learn>=1.5.2,<2",
    # Other kernels than the Gaussian as KLIEP's basis. One module imports it,
    # when such a kernel is asked for. Its last release (2024-11) imports
    # tf-keras, and pkg_resources of setuptools, which 81 and later lack.
    "tensorflow-probability>=0.25,<0.26",
    f"tf-keras{TENSORFLOW}",
    "setuptools<81",
]

EXTRAS = {
    "test": [
        "pytest>=8,<10",
        # Properties of the density ratio that hold for any sample.
        "hypothesis>=6.100,<7",
        # Other people's programs that ours are held to: KLIEP by projected
        # gradient and by Frank-Wolfe, Cityscapes' evaluation. Their last
        # releases; their results are part of what is tested.
        "densratio==0.4.0",
        "adapt==0.4.5",
        "cityscapesscripts==2.3.0",
        # A store in memory, beside TensorFlow's; s3fs, of the extra s3, is
        # another one of its kind.
        "fsspec>=2026.2,<2027",
        # Two cores: two processes, each with files of its own.
        "pytest-xdist>=3.6,<4",
        # Minor releases of ruff may format differently.
        "ruff>=0.17,<0.18",
        # Types, in `make lint`.
        "mypy>=1.13,<3",
    ],
    # `make docs`: the pages of docs/ and the API from the docstrings.
    "docs": [
        "mkdocs>=1.6,<2",
        "mkdocs-material>=9.5,<10",
        "mkdocstrings[python]>=0.27,<2",
    ],
    # Shards made on Apache Beam's runners. In an environment of its own: it
    # holds Pillow below 13 and protobuf below 7. One module imports it.
    "beam": ["apache-beam>=2.77,<3"],
    # Experiments' jobs on a cluster. One module imports it.
    "dask": ["distributed>=2026.8,<2027"],
    # Outputs in Amazon S3. One module imports fsspec, which asks it.
    "s3": ["fsspec>=2026.2,<2027", "s3fs>=2026.2,<2027"],
    # CUDA's libraries; the same TensorFlow.
    "cuda": [f"tensorflow[and-cuda]{TENSORFLOW}"],
}


def read_version() -> str:
    """Returns __version__ of kliep_tf without importing it."""
    text = (HERE / "kliep_tf" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        raise ValueError(
            'kliep_tf/__init__.py: expected a line __version__ = "...", found '
            "none"
        )
    return match[1]


setup(
    name="kliep_tf",
    version=read_version(),
    description=(
        "Semantically consistent synthetic-to-real translation of labelled "
        "images: CycleGAN weighted by KLIEP density ratios, in TensorFlow"
    ),
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(
        include=["kliep_tf", "kliep_tf.*", "tfrecords_tools*"]
    ),
    # Says to type checkers that the annotations are meant for them.
    package_data={
        "kliep_tf": ["py.typed", "keras_home/keras.json"],
        "kliep_tf.experiments.reporting": ["published/*", "templates/*"],
        "tfrecords_tools": ["py.typed", "maps/*.csv"],
    },
    # keras 3.15 needs 3.11; TensorFlow 2.21 has wheels up to 3.13.
    python_requires=">=3.11,<3.14",
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
)
