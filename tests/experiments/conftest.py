import pytest
import tensorflow as tf

from kliep_tf.data.datasets import CLASS_NAMES, NUM_CLASSES


@pytest.fixture(scope="module")
def common(source_records, target_records, tmp_path_factory):
    """Flags of all experiments on a pair of domains."""
    return {
        "source_records": str(source_records),
        "target_records": str(target_records),
        "val_records": str(target_records),
        "cache_dir": str(tmp_path_factory.mktemp("cache")),
        "num_seeds": 2,
    }


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory):
    """A segmenter that sees sky everywhere."""
    sky = CLASS_NAMES.index("sky")

    class Everywhere(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
        )
        def __call__(self, images):
            shape = tf.shape(images)[:3]
            return {"logits": tf.one_hot(tf.fill(shape, sky), NUM_CLASSES)}

    path = tmp_path_factory.mktemp("segmenter") / "model"
    module = Everywhere()
    tf.saved_model.save(module, str(path), {"serving_default": module.__call__})
    return path
