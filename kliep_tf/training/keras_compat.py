"""Every private name of Keras and TensorFlow that the project relies on.

Each function says what it needs the private name for. A release that renames
one breaks tests/training/test_keras_compat.py, and nothing else has to change.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


def apply_gradients_as_given(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer apply gradients without summing them over replicas.

    Keras's optimizers sum in `_all_reduce_sum_gradients`, and there is no
    public switch: gradients that are summed already would be summed twice.

    Returns:
        The optimizer, for chaining.

    Raises:
        TypeError: it has no such method.
    """
    if not hasattr(optimizer, "_all_reduce_sum_gradients"):
        raise TypeError(
            f"expected an optimizer of Keras 3 on TensorFlow, found {optimizer}"
        )
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    return optimizer


def moments_of(
    optimizer: keras.optimizers.Adam, variable: keras.Variable
) -> tuple[keras.Variable, keras.Variable]:
    """Returns Adam's first and second moment of a variable.

    Keras keeps them in `_momentums` and `_velocities`, in the order that
    `_get_variable_index` knows.
    """
    row = optimizer._get_variable_index(variable)
    return optimizer._momentums[row], optimizer._velocities[row]


def all_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields a network's layers, those inside its layers included.

    The public `layers` stops at the first level: an inner `keras.Sequential`
    counts as one. `_flatten_layers` goes on.
    """
    yield from network._flatten_layers()


def update_on_all_replicas(
    function: Callable[..., None], *arguments: Any
) -> None:
    """Calls `function(strategy, *arguments)` once for all replicas.

    For use inside a replica's step. `maybe_merge_call` of `tf.__internal__`,
    by which Keras's optimizers update their variables, is the public
    `merge_call` where a strategy needs that, and a direct call where the
    strategy does without.
    """
    tf.__internal__.distribute.interim.maybe_merge_call(
        function, tf.distribute.get_strategy(), *arguments
    )


def write_in_order(archive: keras.export.ExportArchive) -> None:
    """Makes an archive write variables in the order in which it tracks them.

    It writes them as `_all_variables`, in the order of their addresses: the
    same model would be other bytes in each process.
    """
    collect = archive._filter_and_track_resources

    def collect_in_order() -> None:
        collect()
        trackable = archive._tf_trackable
        places = {
            id(getattr(one, "value", one)): place
            for place, one in enumerate(archive.variables)
        }

        def place_of(variable: tf.Variable) -> tuple[int, str]:
            # By name what no `track` has named.
            return places.get(id(variable), len(places)), variable.name

        trackable._all_variables = sorted(
            trackable._all_variables, key=place_of
        )

    archive._filter_and_track_resources = collect_in_order


def outputs_where_called(layer: keras.layers.Layer) -> list[Any]:
    """Returns a layer's symbolic outputs in the model that calls it.

    `Layer.output` is that, but of a model within a model it is the inner one's
    own. The calls are kept in `_inbound_nodes`.

    Raises:
        ValueError: nothing calls the layer.
    """
    if not layer._inbound_nodes:
        raise ValueError(f"{layer.name}: expected a layer that a model calls")
    return list(layer._inbound_nodes[0].output_tensors)
