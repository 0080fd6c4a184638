"""A frozen graph with the names of FID's Inception."""

from pathlib import Path


def write_frozen_graph(path: Path) -> None:
    """Writes one whose features are an image's mean colours."""
    # Here: the soak forks processes, and imports this in the child alone.
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, None, 3])
        batch = tf.expand_dims(image, 0, name="ExpandDims")
        tf.reduce_mean(batch, [1, 2], keepdims=True, name="pool_3")
    path.write_bytes(graph.as_graph_def().SerializeToString())
