"""How fast are features extracted, measured against a bare decode?

    python benchmarks/features.py --records=DIRECTORY_OR_GLOB \
        [--segmenter=SAVED_MODEL] [--embedding_weights=FILE]

The bound: tf.data reading and decoding the images (for features of labels, the
labels) in parallel, and nothing else. Rates are images per second of CPU time
over all threads, the second pass of two, so that other programs on the machine
and start-up matter little; wall rates stand beside them. Prints JSON.
"""

import argparse
import json
import time
from collections.abc import Callable

import tensorflow as tf

from kliep_tf.data import images, records
from kliep_tf.data.index import build_index
from kliep_tf.data.reading import make_example_dataset
from kliep_tf.density_ratio.embedding import BACKBONES
from kliep_tf.density_ratio.extraction import ExtractionSettings, Inputs
from kliep_tf.density_ratio.extractors import EXTRACTORS
from kliep_tf.estimate_segmenters import working_size
from kliep_tf.segmentation.inference import load_segmenter


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--records", required=True)
    parser.add_argument("--segmenter")
    parser.add_argument("--embedding_weights")
    parser.add_argument(
        "--embedding_backbone", default="mobilenet_v2", choices=BACKBONES
    )
    arguments = parser.parse_args()
    paths = records.resolve_records(arguments.records, "records")
    number = len(build_index(paths))
    size = working_size(build_index(paths))
    inputs = _inputs(arguments)
    bounds = {
        "images": _rates(lambda: _decode_images(paths), number),
        "labels": _rates(lambda: _decode_labels(paths), number),
    }
    report = {"examples": number, "working_size": size}
    report["bare_decode"] = bounds
    for name, extractor in EXTRACTORS.items():
        if name == "segmenter_histogram" and not arguments.segmenter:
            continue
        if name == "embedding" and not arguments.embedding_weights:
            continue
        settings = ExtractionSettings(
            network=extractor.prepare(inputs, size), image_size=size
        )

        def work(extractor=extractor, settings=settings) -> None:
            extractor.extract(make_example_dataset(paths), number, settings)

        bound = "labels" if extractor.of_labels else "images"
        rates = _rates(work, number)
        rates["of_bare_decode"] = (
            rates["per_cpu_second"] / bounds[bound]["per_cpu_second"]
        )
        report[name] = rates
    print(json.dumps(report, indent=1))


def _inputs(arguments: argparse.Namespace) -> Inputs:
    return Inputs(
        segmenter=lambda size: load_segmenter(arguments.segmenter),
        embedding_weights=arguments.embedding_weights,
        embedding_backbone=arguments.embedding_backbone,
    )


def _rates(work: Callable[[], None], number: int) -> dict[str, float]:
    """Returns images a second of the second of two passes."""
    for _ in range(2):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        wall = time.perf_counter() - wall
        processor = time.process_time() - processor
    return {"per_cpu_second": number / processor, "per_second": number / wall}


def _decode_images(paths: list[str]) -> None:
    _drain(paths, lambda e: images.decode_image(e[records.ENCODED]))


def _decode_labels(paths: list[str]) -> None:
    _drain(paths, lambda e: images.decode_label(e[records.LABEL_ENCODED]))


def _drain(paths: list[str], decode: Callable) -> None:
    dataset = make_example_dataset(paths).map(
        decode, num_parallel_calls=tf.data.AUTOTUNE
    )
    for _ in dataset:
        pass


if __name__ == "__main__":
    main()
