"""CyCADAs of two filters, a frozen segmenter and labelled batches of noise."""

import functools
import tempfile

import numpy as np
import tensorflow as tf

from kliep_tf.data.pipeline import LabelledUnpairedBatch
from kliep_tf.segmentation.frozen import FrozenSegmenter
from kliep_tf.segmentation.networks import export_segmenter
from kliep_tf.translation.methods.cycada.model import CyCADA
from kliep_tf.translation.methods.cycada.settings import CyCADASettings
from tests.segmentation.small_network import small
from tests.translation.methods.cyclegan import small_model as cyclegan


@functools.cache
def segmenter_path():
    """Returns the SavedModel of a segmenter that has learned nothing."""
    path = tempfile.mkdtemp() + "/saved_model"
    export_segmenter(small(19, seed=5), path)
    return path


def make_model(batch_size, **options):
    load = functools.partial(FrozenSegmenter, segmenter_path())
    return cyclegan.make_model(
        batch_size,
        method=(CyCADA, CyCADASettings),
        handed_in={"task_segmenter": load},
        **options,
    )


def make_batch(source_weight, target_weight, seed=0):
    """Noise whose labels are 19 classes and, a tenth of them, 255."""
    batch = cyclegan.make_batch(source_weight, target_weight, seed)
    rng = np.random.default_rng(seed)
    shape = (*batch.source.shape[:3], 1)
    label = rng.integers(0, 19, shape)
    label = np.where(rng.uniform(size=shape) < 0.1, 255, label)
    return LabelledUnpairedBatch(*batch, tf.constant(label, tf.uint8))
