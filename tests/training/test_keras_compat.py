"""What breaks when Keras or TensorFlow renames something private."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.training import keras_compat


def made_adam():
    variables = [keras.Variable([1.0, -2.0]), keras.Variable([[3.0]])]
    optimizer = keras.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.75)
    optimizer.build(variables)
    return optimizer, variables


def test_applied_gradients_are_no_longer_summed():
    """Broken: `Optimizer._all_reduce_sum_gradients` has another name.

    Gradients of several replicas would be multiplied by their number.
    """
    optimizer, (variable, _) = made_adam()
    pairs = [(tf.constant([1.0, 2.0]), variable)]
    # Keras asks this very method, with pairs of gradients and variables.
    asked = []
    keras_compat.apply_gradients_as_given(optimizer)
    as_given = optimizer._all_reduce_sum_gradients
    assert as_given(pairs) is pairs
    optimizer._all_reduce_sum_gradients = lambda pairs: asked.append(1) or pairs
    optimizer.apply([tf.constant([1.0, 2.0]), tf.constant([[1.0]])])
    assert asked == [1]


def test_object_that_sums_nothing_is_refused():
    with pytest.raises(TypeError, match="expected an optimizer of Keras 3"):
        keras_compat.apply_gradients_as_given(object())


def test_moments_are_those_of_the_variable():
    """Broken: `_get_variable_index`, `_momentums` or `_velocities` of Adam."""
    optimizer, variables = made_adam()
    optimizer.apply([tf.constant([4.0, -2.0]), tf.constant([[8.0]])], variables)
    first, second = keras_compat.moments_of(optimizer, variables[1])
    # 0.5 x 0 + (1 - 0.5) x 8 and 0.75 x 0 + (1 - 0.75) x 8^2
    assert (first.numpy(), second.numpy()) == ([[4.0]], [[16.0]])
    first, _ = keras_compat.moments_of(optimizer, variables[0])
    np.testing.assert_array_equal(first, [2.0, -1.0])


def test_layers_inside_layers_are_found():
    """Broken: `Layer._flatten_layers`; spectral norms would never iterate."""
    inner = keras.layers.Dense(1)
    model = keras.Sequential(
        [keras.Input([1]), keras.Sequential([keras.Input([1]), inner])]
    )
    assert inner not in model.layers
    assert inner in list(keras_compat.all_layers(model))


def test_update_runs_once_outside_and_inside_a_replica():
    """Broken: `tf.__internal__.distribute.interim.maybe_merge_call`."""
    strategy = tf.distribute.OneDeviceStrategy("cpu:0")
    with strategy.scope():
        variable = tf.Variable(1.0)

    def add(strategy, amount):
        strategy.extended.update(variable, lambda v: v.assign_add(amount))

    keras_compat.update_on_all_replicas(add, 2.0)
    assert float(variable) == 3.0
    strategy.run(lambda: keras_compat.update_on_all_replicas(add, 4.0))
    assert float(variable) == 7.0


def test_outputs_of_a_model_within_a_model_are_the_outer_ones():
    """Broken: `Operation._inbound_nodes` or `output_tensors` has another name.

    Features of a backbone could not be had from the network around it.
    """
    image = keras.Input((4,))
    inner = keras.Model(image, [image * 2.0, image * 3.0])
    outer_image = keras.Input((4,))
    double, triple = inner(outer_image + 1.0)
    outer = keras.Model(outer_image, double + triple)
    found = keras_compat.outputs_where_called(inner)
    features = keras.Model(outer.input, found)
    doubled, tripled = features(np.ones((1, 4)))
    np.testing.assert_array_equal(doubled, [[4.0] * 4])
    np.testing.assert_array_equal(tripled, [[6.0] * 4])
    with pytest.raises(ValueError, match="layer that a model calls"):
        keras_compat.outputs_where_called(keras.Model(image, image * 2.0))


def test_archive_writes_variables_in_the_order_of_the_network(tmp_path):
    """Broken: `_filter_and_track_resources` or `_all_variables` is gone.

    An export would be other bytes each time, and a resumed run's another than
    the undisturbed one's.
    """
    image = keras.Input([4, 4, 1])
    output = image
    for _ in range(8):
        output = keras.layers.Conv2D(1, 1)(output)
    network = keras.Model(image, output)
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "serve", network.call, [tf.TensorSpec([1, 4, 4, 1], tf.float32)]
    )
    keras_compat.write_in_order(archive)
    archive.write_out(str(tmp_path), verbose=False)
    reader = tf.train.load_checkpoint(str(tmp_path / "variables/variables"))
    for place, variable in enumerate(network.variables):
        key = f"_all_variables/{place}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(reader.get_tensor(key), variable.numpy())
    assert len(network.variables) == 16
