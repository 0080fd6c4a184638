"""Every term of eq. 12 on images of 2x2 pixels, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.losses import ADVERSARIAL_LOSSES
from kliep_tf.translation.methods.cyclegan.objectives import (
    Judgement,
    Objectives,
    Translations,
)
from kliep_tf.translation.methods.cyclegan.settings import CycleGANSettings

LOSSES = sorted(ADVERSARIAL_LOSSES)
TERMS = {
    "generator/source_to_target": "source",
    "generator/target_to_source": "target",
    "cycle/source": "source",
    "cycle/target": "target",
    "identity/source": "source",
    "identity/target": "target",
}


def constant_images(*values):
    return tf.stack([tf.fill([2, 2, 3], float(value)) for value in values])


def make_objectives(loss="lsgan", batch=2):
    return Objectives(
        CycleGANSettings(
            adversarial_loss=loss, cycle_weight=10.0, identity_weight=0.5
        ),
        global_batch_size=batch,
    )


def test_every_generator_term_by_hand():
    batch = UnpairedBatch(
        source=constant_images(0.0, 0.0),
        source_weight=tf.constant([0.5, 1.5]),
        target=constant_images(1.0, 1.0),
        target_weight=tf.constant([2.0, 0.0]),
    )
    translations = Translations(
        fake_target=constant_images(0.0, 0.0),
        fake_source=constant_images(0.0, 0.0),
        cycled_source=constant_images(0.25, -0.5),
        cycled_target=constant_images(0.5, -1.0),
        identity_source=constant_images(0.5, 0.0),
        identity_target=constant_images(0.75, 0.0),
    )
    losses = make_objectives().generator_losses(
        batch,
        translations,
        target_logits=tf.reshape([3.0] * 4 + [0.0] * 4, [2, 2, 2, 1]),
        source_logits=tf.reshape([-1.0] * 4 + [9.0] * 4, [2, 2, 2, 1]),
    )
    assert {name: float(value) for name, value in losses.items()} == {
        # (0.5 (3 - 1)^2 + 1.5 (0 - 1)^2) / 2
        "generator/source_to_target": 1.75,
        # (2 (-1 - 1)^2 + 0) / 2
        "generator/target_to_source": 4.0,
        # 10 (0.5 x 0.25 + 1.5 x 0.5) / 2
        "cycle/source": 4.375,
        # 10 (2 x 0.5 + 0) / 2
        "cycle/target": 5.0,
        # 10 x 0.5 (0.5 x 0.5 + 0) / 2
        "identity/source": 0.625,
        # 10 x 0.5 (2 x 0.25 + 0) / 2
        "identity/target": 1.25,
    }


def make_judgement(real, real_weight, fake, fake_weight):
    """Logits of 2x2 patches, all equal within an example."""
    return Judgement(
        tf.reshape(tf.repeat(tf.constant(real), 4), [-1, 2, 2, 1]),
        tf.constant(real_weight),
        tf.reshape(tf.repeat(tf.constant(fake), 4), [-1, 2, 2, 1]),
        tf.constant(fake_weight),
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # ((0.5 (2 - 1)^2 + 1.5 (0 - 1)^2) / 2 + (2 x 3^2 + 0) / 2) / 2
        ("lsgan", 5.0),
        # ((0 + 1.5 max(0, 1 - 0)) / 2 + 2 max(0, 1 + 3) / 2) / 2
        ("hinge", 2.375),
        # log(1 + e^-2), log 2 and log(1 + e^3)
        ("bce", (0.5 * 0.126928 + 1.5 * 0.693147 + 2.0 * 3.048587) / 4),
    ],
)
def test_discriminator_loss_by_hand(loss, expected):
    judgement = make_judgement([2.0, 0.0], [0.5, 1.5], [3.0, 1.0], [2.0, 0.0])
    found = make_objectives(loss).discriminator_loss(judgement)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # Of the real ones 0.7 and 2 are above 0.5, of the fakes none is below.
        ("lsgan", (2 / 3 + 0 / 3) / 2),
        # Of the real ones all three are above 0, of the fakes none is below.
        ("hinge", (3 / 3 + 0 / 3) / 2),
        ("bce", (3 / 3 + 0 / 3) / 2),
    ],
)
def test_accuracy_is_the_share_judged_rightly_whatever_the_weights(
    loss, expected
):
    judgement = make_judgement(
        [0.7, 2.0, 0.1], [0.0, 3.0, 0.0], [1.0, 0.6, 0.5], [9.0, 0.0, 0.0]
    )
    found = make_objectives(loss, batch=3).discriminator_accuracy(judgement)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def random_terms(loss, source_weight, target_weight, rows=(0, 1)):
    """Returns each loss of two examples of noise, and each's gradients.

    Gradients are those by every input of the terms, an array an example.
    """
    rng = np.random.default_rng(0)
    rows = list(rows)

    def noise(*shape):
        values = rng.normal(size=(2, *shape)).astype(np.float32)
        return tf.constant(values[rows])

    batch = UnpairedBatch(
        noise(2, 2, 3),
        tf.constant(source_weight),
        noise(2, 2, 3),
        tf.constant(target_weight),
    )
    translations = Translations(*(noise(2, 2, 3) for _ in Translations._fields))
    logits = [noise(2, 2, 1) for _ in range(4)]
    inputs = [*translations, *logits]
    objectives = make_objectives(loss)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        losses = objectives.generator_losses(batch, translations, *logits[:2])
        losses["discriminator"] = objectives.discriminator_loss(
            Judgement(
                logits[2],
                batch.target_weight,
                logits[3],
                batch.source_weight,
            )
        )
    gradients = {
        name: [
            gradient.numpy()
            for gradient in tape.gradient(value, inputs)
            if gradient is not None
        ]
        for name, value in losses.items()
    }
    return losses, gradients


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_0_removes_an_example_from_every_term(loss):
    losses, gradients = random_terms(loss, [1.0, 0.0], [1.0, 0.0])
    alone, alone_gradients = random_terms(loss, [1.0], [1.0], rows=[0])
    assert set(losses) == {*TERMS, "discriminator"}
    for name, value in losses.items():
        np.testing.assert_allclose(value, alone[name], rtol=1e-6)
        for both, one in zip(
            gradients[name], alone_gradients[name], strict=True
        ):
            np.testing.assert_allclose(both[:1], one, rtol=1e-6)
            assert not both[1].any()


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_2_is_the_example_twice_in_every_term(loss):
    losses, gradients = random_terms(loss, [2.0, 1.0], [2.0, 1.0])
    twice, twice_gradients = random_terms(
        loss, [1.0] * 3, [1.0] * 3, rows=[0, 0, 1]
    )
    for name, value in losses.items():
        np.testing.assert_allclose(value, twice[name], rtol=1e-6)
        for both, thrice in zip(
            gradients[name], twice_gradients[name], strict=True
        ):
            np.testing.assert_allclose(
                both[0], thrice[0] + thrice[1], rtol=1e-6
            )
            np.testing.assert_allclose(both[1], thrice[2], rtol=1e-6)


def plain_discriminator(loss, real, fake):
    return {
        "lsgan": lambda: np.mean((real - 1) ** 2) + np.mean(fake**2),
        "bce": lambda: (
            -np.mean(np.log(1 / (1 + np.exp(-real))))
            - np.mean(np.log(1 - 1 / (1 + np.exp(-fake))))
        ),
        "hinge": lambda: (
            np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake))
        ),
    }[loss]()


def plain_generator(loss, logits):
    return {
        "lsgan": lambda: np.mean((logits - 1) ** 2),
        "bce": lambda: -np.mean(np.log(1 / (1 + np.exp(-logits)))),
        "hinge": lambda: -np.mean(logits),
    }[loss]()


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_of_1_are_plain_cyclegan(loss):
    """Against the plain losses, as means over whole batches."""
    rng = np.random.default_rng(1)
    images = rng.normal(size=(8, 2, 2, 2, 3)).astype(np.float32)
    logits = rng.normal(size=(4, 2, 2, 2, 1)).astype(np.float32)
    ones = tf.ones(2)
    batch = UnpairedBatch(images[0], ones, images[1], ones)
    translations = Translations(*images[2:])
    objectives = make_objectives(loss)
    found = objectives.generator_losses(
        batch, translations, logits[0], logits[1]
    )
    source, target = images[0], images[1]
    expected = {
        "generator/source_to_target": plain_generator(loss, logits[0]),
        "generator/target_to_source": plain_generator(loss, logits[1]),
        "cycle/source": 10
        * np.mean(np.abs(translations.cycled_source - source)),
        "cycle/target": 10
        * np.mean(np.abs(translations.cycled_target - target)),
        "identity/source": 5
        * np.mean(np.abs(translations.identity_source - source)),
        "identity/target": 5
        * np.mean(np.abs(translations.identity_target - target)),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    judgement = Judgement(logits[2], ones, logits[3], ones)
    np.testing.assert_allclose(
        objectives.discriminator_loss(judgement),
        0.5 * plain_discriminator(loss, logits[2], logits[3]),
        rtol=1e-5,
    )


@pytest.mark.parametrize("name", TERMS)
def test_each_term_carries_its_own_domains_weight(name):
    only_source, _ = random_terms("lsgan", [1.0, 1.0], [0.0, 0.0])
    only_target, _ = random_terms("lsgan", [0.0, 0.0], [1.0, 1.0])
    assert (float(only_source[name]) > 0) == (TERMS[name] == "source")
    assert (float(only_target[name]) > 0) == (TERMS[name] == "target")


def test_without_identity_there_is_no_such_term():
    translations = Translations(*(constant_images(0.0) for _ in range(4)))
    batch = UnpairedBatch(
        constant_images(0.0), tf.ones(1), constant_images(0.0), tf.ones(1)
    )
    logits = tf.zeros([1, 2, 2, 1])
    losses = make_objectives().generator_losses(
        batch, translations, logits, logits
    )
    assert not [name for name in losses if name.startswith("identity")]
