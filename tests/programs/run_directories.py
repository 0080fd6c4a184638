"""What a training has left in its run directory, for tests to look at."""

import dataclasses
import itertools
import shutil
import time

import numpy as np
import tensorflow as tf

from kliep_tf.training.checkpoints import checkpoint_steps


def flags(config):
    """Returns the command line of a config."""
    words = []
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no{name}")
        else:
            words.append(f"--{name}={value}")
    return words


def wait_for_checkpoint(process, run_dir, step):
    state = run_dir / "checkpoints" / "checkpoint"
    while not (state.exists() and f"ckpt-{step}" in state.read_text()):
        assert process.poll() is None, "ended too early"
        time.sleep(0.02)


def checkpoint_values(run_dir):
    """Returns the newest checkpoint's arrays by name."""
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def copy_run(run_dir, copy):
    """Copies a run directory, which then says that it was made there."""
    shutil.copytree(run_dir, copy)
    record = copy / "config.json"
    record.write_text(record.read_text().replace(str(run_dir), str(copy)))


def mark_incomplete(run_dir):
    """Leaves the run as if it was killed after the last checkpoint."""
    record = run_dir / "config.json"
    record.write_text(record.read_text().replace("complete", "incomplete"))


def forget_last_checkpoint(run_dir):
    """Leaves the run as if it was killed after the checkpoint before."""
    mark_incomplete(run_dir)
    directory = run_dir / "checkpoints"
    *_, before, last = checkpoint_steps(directory)
    state = directory / "checkpoint"
    kept = [
        line
        for line in state.read_text().splitlines()
        if not line.endswith(f'ckpt-{last}"')
    ]
    state.write_text(
        "\n".join([f'model_checkpoint_path: "ckpt-{before}"', *kept])
    )
    for file in directory.glob(f"ckpt-{last}.*"):
        file.unlink()


def assert_same_checkpoints(run_dir, other):
    """Asserts that the newest checkpoints are equal bit for bit."""
    expected, found = checkpoint_values(other), checkpoint_values(run_dir)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def board_values(run_dir):
    """Yields (file, step, value) of all summaries, file by file."""
    for path in sorted((run_dir / "tensorboard").iterdir()):
        for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(data)
            for value in event.summary.value:
                yield path, event.step, value


def tensorboard_tags(run_dir):
    """Returns the tags of all summaries."""
    return {value.tag for _, _, value in board_values(run_dir)}


def scalars(run_dir):
    """Returns each scalar's values by tag, in the order of the steps."""
    found = {}
    for _, step, value in board_values(run_dir):
        if value.metadata.plugin_data.plugin_name == "scalars" or (
            value.tag in found
        ):
            number = float(tf.make_ndarray(value.tensor))
            found.setdefault(value.tag, []).append((step, number))
    return {
        tag: [number for _, number in sorted(points)]
        for tag, points in found.items()
    }


def first_step_logged_last(run_dir, tag="cycle/source"):
    """Returns the first step whose scalar the newest process has logged."""
    values = itertools.groupby(
        board_values(run_dir), key=lambda value: value[0]
    )
    steps = {
        path: [step for _, step, value in group if value.tag == tag]
        for path, group in values
    }
    newest = max(
        (path for path in steps if steps[path]),
        key=lambda path: path.stat().st_mtime_ns,
    )
    return min(steps[newest])
