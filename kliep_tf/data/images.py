"""Operations on images: decode, scale, resize, crop, flip, change colours.

Random operations are stateless: the same seed gives the same image, whatever
the number of parallel calls. Shapes are [H, W, C] unless stated.
"""

import tensorflow as tf

# Signature, length of the chunk, its name, width, height; then 8 bits, gray.
_PNG_HEADER_BYTES = 26
_GRAY_PNG = r"(?s)\C{12}IHDR\C{8}\x08\x00"


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes PNG or JPEG bytes to uint8 [H, W, 3]."""
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def decode_label(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a one-channel PNG of train ids to uint8 [H, W, 1].

    Anything else is an InvalidArgumentError: of a palette the decoder would
    return luminances, of 16 bits the high bytes, of RGB a mean.
    """
    tf.debugging.assert_equal(
        is_gray_png(encoded), True, "expected a label of one 8-bit channel"
    )
    return tf.io.decode_png(encoded, channels=1)


def is_gray_png(encoded: tf.Tensor) -> tf.Tensor:
    """Returns bool []: whether this is a PNG of one channel of 8 bits."""
    header = tf.strings.substr(encoded, 0, _PNG_HEADER_BYTES)
    return tf.strings.regex_full_match(header, _GRAY_PNG)


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Maps uint8 0..255 to float32 -1..1."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Maps floats -1..1 to uint8 0..255, rounding and saturating."""
    image = tf.cast(image, tf.float32)
    return tf.saturate_cast(tf.round((image + 1.0) * 127.5), tf.uint8)


def resize_image(
    image: tf.Tensor, size: tuple[int, int] | tf.Tensor
) -> tf.Tensor:
    """Resizes a uint8 image [..., H, W, 3] to `size`, antialiased, as uint8."""
    resized = tf.image.resize(image, size, "bilinear", antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def resize_label(
    label: tf.Tensor, size: tuple[int, int] | tf.Tensor
) -> tf.Tensor:
    """Resizes a label [..., H, W, 1] to `size` by the nearest pixel."""
    return tf.image.resize(label, size, "nearest")


def random_size(
    size: tuple[int, int] | tf.Tensor,
    scales: tuple[float, float],
    seed: tf.Tensor,
) -> tf.Tensor:
    """Returns int32 [2]: height and width times one random factor.

    Args:
        size: (height, width).
        scales: the least and the largest factor, uniform between them.
        seed: int [2].
    """
    scale = tf.random.stateless_uniform([], seed, *scales)
    scaled = tf.round(tf.cast(size, tf.float32) * scale)
    return tf.maximum(tf.cast(scaled, tf.int32), 1)


def random_crop(
    tensors: list[tf.Tensor], size: tuple[int, int], seed: tf.Tensor
) -> list[tf.Tensor]:
    """Cuts the same window of `size` out of images of equal height and width.

    Args:
        tensors: each [H, W, C].
        size: (height, width), no larger than the images.
        seed: int [2].
    """
    shape = tf.shape(tensors[0])
    room = shape[:2] - tf.constant(size) + 1
    fractions = tf.random.stateless_uniform([2], seed)
    offset = tf.cast(fractions * tf.cast(room, tf.float32), tf.int32)
    offset = tf.minimum(offset, room - 1)
    return [
        tf.slice(tensor, [offset[0], offset[1], 0], [*size, tensor.shape[-1]])
        for tensor in tensors
    ]


def random_flip(tensors: list[tf.Tensor], seed: tf.Tensor) -> list[tf.Tensor]:
    """Mirrors all of the images left to right, or none of them."""
    flip = tf.random.stateless_uniform([], seed) < 0.5
    return [
        tf.where(flip, tf.reverse(tensor, [1]), tensor) for tensor in tensors
    ]


def random_colors(
    image: tf.Tensor, strength: float, seed: tf.Tensor
) -> tf.Tensor:
    """Changes the colours of a uint8 image, never its geometry.

    Each channel gets its own gain and offset, the whole image a gamma, a
    saturation and noise. With strong changes a segmenter learns shape and
    context rather than colour, which carries it from rendered to real images.

    Args:
        image: uint8 [H, W, 3].
        strength: 0 leaves the image as it is, 1 is strong.
        seed: int [2].
    """
    seeds = tf.unstack(tf.random.split(seed, 6))
    uniform = tf.random.stateless_uniform
    value = tf.cast(image, tf.float32) / 255.0
    gamma = tf.exp(uniform([], seeds[0], -0.5, 0.5) * strength)
    value = tf.pow(value, gamma)
    gray = tf.reduce_mean(value, -1, keepdims=True)
    saturation = 1.0 + uniform([], seeds[1], -0.9, 0.4) * strength
    value = gray + (value - gray) * saturation
    gain = 1.0 + uniform([3], seeds[2], -0.35, 0.35) * strength
    offset = uniform([3], seeds[3], -0.2, 0.2) * strength
    value = (value - 0.5) * gain + 0.5 + offset
    noise = uniform([], seeds[4], 0.0, 0.08) * strength
    value += noise * tf.random.stateless_normal(tf.shape(value), seeds[5])
    return tf.saturate_cast(tf.round(value * 255.0), tf.uint8)
