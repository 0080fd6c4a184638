"""The published architectures, held to their parameter counts and strides."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.adaptsegnet_networks import (
    network_of_levels,
)
from kliep_tf.segmentation.deeplab import (
    deeplab_v2_resnet101,
    deeplab_v3plus_xception65,
)
from kliep_tf.segmentation.drn import drn_c_26
from kliep_tf.segmentation.efficientnet import efficientnet_lite0
from kliep_tf.segmentation.layers import CountedDropout, LayerFactory
from kliep_tf.segmentation.optimizers import backbone_of, leaf_layers
from kliep_tf.segmentation.pretrained import (
    freeze_backbone,
    freeze_normalization,
    load_backbone,
)
from kliep_tf.segmentation.xception import xception_65
from tests.segmentation.adaptation.steps import NUM_CLASSES, make_setup

# Building one takes seconds: each is built once, and shared.


@pytest.fixture(scope="module")
def drn() -> keras.Model:
    return drn_c_26(19, seed=0)


@pytest.fixture(scope="module")
def efficientnet() -> keras.Model:
    return efficientnet_lite0(19, seed=0)


@pytest.fixture(scope="module")
def v3plus() -> keras.Model:
    return deeplab_v3plus_xception65(19, seed=0)


@pytest.fixture(scope="module")
def v2() -> keras.Model:
    return deeplab_v2_resnet101(19, seed=0)


def _parameters(model: keras.Model) -> int:
    """What other frameworks count: moving averages are no parameters."""
    return sum(
        int(np.prod(variable.shape)) for variable in model.trainable_variables
    )


def _convolution(inputs: int, outputs: int, size: int) -> int:
    """Parameters of a convolution without bias, and of its normalisation."""
    return size * size * inputs * outputs + 2 * outputs


def _separable(inputs: int, outputs: int) -> int:
    """A depthwise 3x3 and a 1x1 convolution, both normalised."""
    return 9 * inputs + 2 * inputs + _convolution(inputs, outputs, 1)


def _image(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (1, height, width, 3)).astype(np.float32)


def test_drn_c_26_has_the_published_number_of_parameters(drn):
    # 21,126,584 with the authors' classifier of 1,000 classes.
    assert _parameters(backbone_of(drn)) == 21_126_584 - 512 * 1000 - 1000
    assert _parameters(drn) == 20_623_331


def test_resnet_101_has_the_published_number_of_parameters(v2):
    # 44,549,160 with torchvision's classifier of 1,000 classes.
    assert _parameters(backbone_of(v2)) == 44_549_160 - 2048 * 1000 - 1000
    # Four 3x3 classifiers with biases.
    head = 4 * (9 * 2048 * 19 + 19)
    assert _parameters(v2) == 42_500_160 + head


def test_efficientnet_lite0_has_the_published_number_of_parameters(
    efficientnet,
):
    # 4,652,008 with the last convolution and the classifier of 1,000 classes.
    last = _convolution(320, 1280, 1) + 1280 * 1000 + 1000
    assert _parameters(backbone_of(efficientnet)) == 4_652_008 - last


def test_efficientnet_features_have_strides_of_the_doubled_image(efficientnet):
    fine, *coarse = backbone_of(efficientnet)(_image(64, 96))
    assert fine.shape == (1, 16, 24, 24)
    assert [x.shape for x in coarse] == [
        (1, 8, 12, 40),
        (1, 4, 6, 112),
        (1, 2, 3, 320),
    ]


def test_xception_65_has_the_parameters_of_its_definition(v3plus):
    units = [(64, (128,) * 3), (128, (256,) * 3), (256, (728,) * 3)]
    units += [(728, (728,) * 3)] * 16
    units += [(728, (728, 1024, 1024)), (1024, (1536, 1536, 2048))]
    expected = _convolution(3, 32, 3) + _convolution(32, 64, 3)
    for inputs, channels in units:
        chain = (inputs, *channels)
        expected += sum(map(_separable, chain[:-1], chain[1:]))
    for inputs, outputs in ((64, 128), (128, 256), (256, 728), (728, 1024)):
        expected += _convolution(inputs, outputs, 1)  # shortcuts
    # With a classifier of 1,000 classes: 39.9 million, as published.
    assert round((expected + 2048 * 1000 + 1000) / 1e6, 1) == 39.9
    assert _parameters(backbone_of(v3plus)) == expected


def test_deeplab_v3plus_head_by_hand(v3plus):
    pyramid = 2 * _convolution(2048, 256, 1) + 3 * _separable(2048, 256)
    pyramid += _convolution(5 * 256, 256, 1)
    decoder = _convolution(256, 48, 1)
    decoder += _separable(256 + 48, 256) + _separable(256, 256)
    logits = 256 * 19 + 19
    head = _parameters(v3plus) - _parameters(backbone_of(v3plus))
    assert head == pyramid + decoder + logits


@pytest.mark.parametrize("name", ["drn", "v3plus", "v2", "efficientnet"])
def test_logits_have_the_size_of_an_odd_image(name, request):
    logits = request.getfixturevalue(name)(_image(19, 27))
    assert logits.shape == (1, 19, 27, 19)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", ["drn", "v3plus", "v2", "efficientnet"])
def test_a_saved_model_takes_the_names_of_all_variables(name, request):
    # It opens a scope of each name, which must not begin with an underscore.
    with tf.Graph().as_default():
        for variable in request.getfixturevalue(name).variables:
            with tf.name_scope(variable.path):
                pass


def test_output_strides(drn, v3plus, v2):
    image = _image(33, 65)
    assert backbone_of(drn)(image).shape == (1, 5, 9, 512)
    assert backbone_of(v2)(image).shape == (1, 5, 9, 2048)
    low_level, features = backbone_of(v3plus)(image)
    assert low_level.shape == (1, 9, 17, 256)
    assert features.shape == (1, 3, 5, 2048)


def test_what_strides_lack_becomes_dilation(v3plus, v2, drn):
    def dilations(model, *names) -> list[int]:
        return [
            backbone_of(model).get_layer(name).dilation_rate[0]
            for name in names
        ]

    # Output stride 16: the exit flow's stride of 2 becomes a dilation.
    unit = "{}.unit_1.xception_module.separable_conv3_depthwise"
    exits = [unit.format(f"exit_flow.block{n}") for n in (1, 2)]
    assert dilations(v3plus, *exits) == [1, 2]
    names = [f"layer{number}.0.conv2" for number in range(1, 5)]
    assert dilations(v2, *names) == [1, 1, 2, 4]
    names = [f"layer{number}.0.conv2" for number in range(1, 9)]
    assert dilations(drn, *names) == [1, 1, 1, 1, 2, 4, 2, 1]


def test_two_levels_of_deeplab_v2(v2):
    levels = network_of_levels(v2, make_setup(), levels=2)
    # A second head of four 3x3 classifiers on the 1,024 channels of conv4.
    head = 4 * (9 * 1024 * NUM_CLASSES + NUM_CLASSES)
    assert _parameters(levels) == _parameters(v2) + head
    image = np.zeros((1, 33, 65, 3), np.float32)
    output, auxiliary = levels(image, training=False)
    assert auxiliary.shape == (1, 33, 65, NUM_CLASSES)
    # It is the segmenter itself that is trained.
    np.testing.assert_allclose(
        output, v2(image, training=False), rtol=1e-5, atol=1e-5
    )


def test_drn_ends_without_residual_connections(drn):
    names = {layer.name for layer in leaf_layers(drn)}
    # Projections stand where the shape changes, in residual levels only.
    assert {name for name in names if name.endswith("downsample.0")} == {
        f"layer{level}.0.downsample.0" for level in (2, 3, 4, 5, 6)
    }
    sums = [n for n in leaf_layers(drn) if isinstance(n, keras.layers.Add)]
    assert len(sums) == 1 + 1 + 2 + 2 + 2 + 2


def test_output_stride_8_dilates_more():
    make = LayerFactory(0, "float32", initializer=_zeros)
    backbone = xception_65(make, output_stride=8)
    assert backbone.compute_output_shape((1, 64, 64, 3))[1] == (1, 8, 8, 2048)
    unit = "{}.unit_1.xception_module.separable_conv3_depthwise"
    rates = [
        backbone.get_layer(unit.format(name)).dilation_rate[0]
        for name in ("middle_flow.block1", "exit_flow.block1")
    ]
    assert rates == [2, 2]
    last = backbone.get_layer(unit.format("exit_flow.block2"))
    assert last.dilation_rate[0] == 4


def _zeros(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.Zeros()


def test_strided_convolution_pads_all_sides_alike():
    # A 3x3 box over an image of ones counts the pixels that it covers.
    make = LayerFactory(0, "float32")
    image = keras.Input((4, 4, 1))
    ones = keras.initializers.Ones()
    model = keras.Model(
        image, make.convolve(image, 1, 3, strides=2, initializer=ones)
    )
    found = model(np.ones((1, 4, 4, 1), np.float32))[0, ..., 0]
    # Centres at rows and columns 0 and 2.
    np.testing.assert_array_equal(found, [[4, 6], [6, 9]])


class TestPublishedWeights:
    def test_pytorch_names_and_layout(self, drn, tmp_path):
        state = _torch_state(backbone_of(drn))
        assert state["layer3.0.downsample.0.weight"].shape == (64, 32, 1, 1)
        state["fc.weight"] = np.zeros((1000, 512, 1, 1), np.float32)
        np.savez(tmp_path / "drn.npz", **state)
        load_backbone(drn, tmp_path / "drn.npz")
        conv = backbone_of(drn).get_layer("layer5.1.conv2")
        # [filters, channels, H, W] there, [H, W, channels, filters] here
        np.testing.assert_array_equal(
            conv.kernel[2, 0, 7, 5], state["layer5.1.conv2.weight"][5, 7, 2, 0]
        )
        norm = backbone_of(drn).get_layer("bn1")
        for found, name in (
            (norm.gamma, "weight"),
            (norm.beta, "bias"),
            (norm.moving_mean, "running_mean"),
            (norm.moving_variance, "running_var"),
        ):
            np.testing.assert_array_equal(found, state[f"bn1.{name}"])

    def test_checkpoint_of_deeplab(self, v3plus, tmp_path):
        values = _slim_checkpoint(backbone_of(v3plus))
        name = (
            "xception_65/middle_flow/block1/unit_16/xception_module/"
            "separable_conv2_depthwise/depthwise_weights"
        )
        assert values[name].shape == (3, 3, 728, 1)
        path = str(tmp_path / "model.ckpt")
        _write_checkpoint(path, values)
        load_backbone(v3plus, path)
        layer = backbone_of(v3plus).get_layer(
            "middle_flow.block1.unit_16.xception_module."
            "separable_conv2_depthwise"
        )
        np.testing.assert_array_equal(layer.kernel, values[name])
        norm = backbone_of(v3plus).get_layer("entry_flow.conv1_1.BatchNorm")
        np.testing.assert_array_equal(
            norm.moving_variance,
            values["xception_65/entry_flow/conv1_1/BatchNorm/moving_variance"],
        )

    def test_own_file_of_keras(self, drn, tmp_path):
        backbone, path = backbone_of(drn), tmp_path / "b.weights.h5"
        before = [weight.copy() for weight in backbone.get_weights()]
        backbone.save_weights(path)
        backbone.set_weights([weight * 0 for weight in before])
        load_backbone(drn, path)
        for found, weight in zip(backbone.get_weights(), before, strict=True):
            np.testing.assert_array_equal(found, weight)

    def test_missing_and_misshapen_arrays_are_named(self, drn, tmp_path):
        state = _torch_state(backbone_of(drn))
        whole = dict(state)
        del state["layer4.1.bn2.running_var"]
        path = tmp_path / "lacking.npz"
        np.savez(path, **state)
        with pytest.raises(UserError, match=r"layer4.1.bn2.running_var"):
            load_backbone(drn, path)
        whole["conv1.weight"] = np.zeros((16, 3, 3, 3), np.float32)
        path = tmp_path / "small.npz"
        np.savez(path, **whole)
        message = r"conv1 of shape \[7, 7, 3, 16\], found \[3, 3, 3, 16\]"
        with pytest.raises(UserError, match=message):
            load_backbone(drn, path)

    def test_frozen_normalization_is_the_same_in_training(self, v2):
        freeze_normalization(v2)
        backbone = backbone_of(v2)
        names = {v.path for v in backbone.trainable_variables}
        assert len(names) == 104  # convolutions: 1 + 3 * 33 + 4 projections
        assert not any("bn" in name for name in names)
        image = _image(17, 17)
        before = backbone.get_layer("bn1").moving_mean.numpy().copy()
        np.testing.assert_allclose(
            backbone(image, training=True), backbone(image, training=False)
        )
        after = backbone.get_layer("bn1").moving_mean.numpy()
        np.testing.assert_array_equal(before, after)


def _torch_state(backbone: keras.Model) -> dict[str, np.ndarray]:
    """A state dict of random numbers for the layers of a backbone."""
    rng, state = np.random.default_rng(0), {}
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            shape = np.array(layer.kernel.shape)[[3, 2, 0, 1]]
            state[f"{layer.name}.weight"] = rng.random(shape, np.float32)
        elif isinstance(layer, keras.layers.BatchNormalization):
            for name in ("weight", "bias", "running_mean", "running_var"):
                value = rng.random(layer.gamma.shape, np.float32)
                state[f"{layer.name}.{name}"] = value
    return state


def _slim_checkpoint(backbone: keras.Model) -> dict[str, np.ndarray]:
    """What DeepLab's checkpoint of the backbone holds, with random numbers."""
    rng, values = np.random.default_rng(0), {}
    for layer in backbone.layers:
        scope = "xception_65/" + layer.name.replace(".", "/")
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            shape = (*layer.kernel_size, layer.kernel.shape[2], 1)
            values[f"{scope}/depthwise_weights"] = rng.random(shape, np.float32)
        elif isinstance(layer, keras.layers.Conv2D):
            shape = tuple(layer.kernel.shape)
            values[f"{scope}/weights"] = rng.random(shape, np.float32)
        elif isinstance(layer, keras.layers.BatchNormalization):
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                value = rng.random(layer.gamma.shape, np.float32)
                values[f"{scope}/{name}"] = value
    return values


def _write_checkpoint(path: str, values: dict[str, np.ndarray]) -> None:
    """Writes a checkpoint by names, as TensorFlow 1 did."""
    names = list(values)
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[values[name] for name in names],
    )


def test_dropout_continues_where_it_was(tmp_path):
    image = keras.Input((1000,))
    ones = np.ones((1, 1000), np.float32)

    def model() -> keras.Model:
        return keras.Model(image, CountedDropout(0.25, seed=3)(image))

    first, checkpoint_of = model(), lambda m: tf.train.Checkpoint(model=m)
    np.testing.assert_array_equal(first(ones), ones)  # not in training
    drawn = first(ones, training=True).numpy()
    # Kept values are 1 / 0.75 as large, so that the mean stays.
    assert set(np.unique(drawn)) == {np.float32(0), np.float32(4 / 3)}
    assert 0.2 < (drawn == 0).mean() < 0.3
    path = checkpoint_of(first).write(str(tmp_path / "checkpoint"))
    expected = first(ones, training=True).numpy()
    assert (expected != drawn).any()
    second = model()
    checkpoint_of(second).read(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(second(ones, training=True), expected)


def test_depthwise_kernels_of_pytorch_find_their_channels(
    efficientnet, tmp_path
):
    """[channels, 1, H, W] there, [H, W, channels, 1] here."""
    rng = np.random.default_rng(0)
    state = {}
    for layer in leaf_layers(backbone_of(efficientnet)):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            height, width, channels, _ = shapes[0]
            shapes = [(channels, 1, height, width)]
        elif isinstance(layer, keras.layers.Conv2D):
            height, width, inputs, outputs = shapes[0]
            shapes = [(outputs, inputs, height, width)]
        names = ("weight", "bias", "running_mean", "running_var")
        for name, shape in zip(names, shapes, strict=False):
            # The published names begin with "_".
            state[f"_{layer.name}.{name}"] = rng.random(shape, np.float32)
    np.savez(tmp_path / "lite0.npz", **state)
    load_backbone(efficientnet, tmp_path / "lite0.npz")
    name = "blocks.3._depthwise_conv"
    kernel = backbone_of(efficientnet).get_layer(name).weights[0].numpy()
    expected = state[f"_{name}.weight"]
    assert kernel.shape == (5, 5, 144, 1)
    np.testing.assert_array_equal(kernel[1, 2, :, 0], expected[:, 0, 1, 2])


def test_frozen_backbone_leaves_the_head_to_be_trained(efficientnet):
    freeze_backbone(efficientnet)
    # A scale and an offset of the features, and two layers with biases.
    assert len(efficientnet.trainable_variables) == 2 + 2 + 2
    before = backbone_of(efficientnet).get_weights()
    efficientnet(_image(32, 32), training=True)
    after = backbone_of(efficientnet).get_weights()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
