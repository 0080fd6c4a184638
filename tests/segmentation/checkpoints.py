"""What a run's newest checkpoint holds."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from kliep_tf import runs


def last_numbers(run_dir: Path | str) -> dict[str, np.ndarray]:
    """Returns all numbers by name: weights, moments, counters."""
    path = tf.train.latest_checkpoint(str(Path(run_dir) / runs.CHECKPOINTS))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }
