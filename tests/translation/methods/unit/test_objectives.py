"""The terms against values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.translation.methods.unit.objectives import (
    Judgement,
    Objectives,
    Translations,
    kl_divergence,
)
from kliep_tf.translation.methods.unit.settings import UNITSettings

W, PSI = [1.0, 3.0], [0.5, 0.0]


def gray(*values):
    """Images of one gray each, [B, 2, 2, 3]."""
    return tf.ones([len(values), 2, 2, 3]) * tf.reshape(values, [-1, 1, 1, 1])


def logits(*values):
    return tf.reshape(tf.constant(values, tf.float32), [-1, 1, 1, 1])


def translations():
    return Translations(
        reconstructed=gray(0.5, -0.25),
        translated=gray(0.0, 0.0),
        cycled=gray(1.0, 0.5),
        latent=gray(2.0, 1.0),
        cycle_latent=gray(0.0, 3.0),
    )


def generator_losses(form):
    batch = UnpairedBatch(
        gray(0.0, 0.0), tf.constant(W), gray(0.0, 0.0), tf.constant(PSI)
    )
    return Objectives(UNITSettings(unit_form=form), 2).generator_losses(
        batch,
        translations(),
        translations(),
        [logits(0.0, 1.0), logits(0.0, 0.0)],
        [logits(0.0, 1.0), logits(0.0, 0.0)],
    )


def test_terms_of_2018_by_hand():
    expected = {
        # w (.5, .25), (1, .5), (4, 1), (0, 9), over a batch of two
        "reconstruction/source": 10 * (0.5 + 3 * 0.25) / 2,
        "cycle/source": 10 * (1.0 + 3 * 0.5) / 2,
        "kl/source": 0.01 * (4 + 3 * 1) / 2,
        "cycle_kl/source": 0.01 * (0 + 3 * 9) / 2,
        # (logit - 1)^2, summed over scales: 2 and 1
        "generator/source_to_target": (2 + 3 * 1) / 2,
        # psi: the second counts nothing
        "reconstruction/target": 10 * 0.5 * 0.5 / 2,
        "cycle/target": 10 * 0.5 * 1.0 / 2,
        "kl/target": 0.01 * 0.5 * 4 / 2,
        "cycle_kl/target": 0.0,
        "generator/target_to_source": 0.5 * 2 / 2,
    }
    found = generator_losses("2018")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_terms_of_2017_are_ten_times_as_large_with_the_log_loss():
    found, smaller = generator_losses("2017"), generator_losses("2018")
    for name in found.keys() - {
        "generator/source_to_target",
        "generator/target_to_source",
    }:
        np.testing.assert_allclose(found[name], 10 * smaller[name], rtol=1e-6)
    # -log sigmoid(0) = log 2 = .693; -log sigmoid(1) = .313
    first, second = 2 * 0.693147, 0.313262 + 0.693147
    np.testing.assert_allclose(
        found["generator/source_to_target"],
        10 * (first + 3 * second) / 2,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("form", "real", "fake"),
    # Logits 0 and 1: squares (1, 0) and (0, 1); log losses of real
    # (.693, .313), of fakes (.693, 1.313).
    [
        ("2018", (1.0, 0.0), (0.0, 1.0)),
        ("2017", (6.93147, 3.13262), (6.93147, 13.13262)),
    ],
)
def test_discriminators_sum_both_terms_over_scales(form, real, fake):
    judgement = Judgement(
        [logits(0.0, 1.0)] * 2,
        tf.constant(W),
        [logits(0.0, 1.0)] * 2,
        tf.constant(PSI),
    )
    objectives = Objectives(UNITSettings(unit_form=form), 2)
    expected = 2 * (np.dot(W, real) + np.dot(PSI, fake)) / 2
    np.testing.assert_allclose(
        objectives.discriminator_loss(judgement), expected, rtol=1e-5
    )
    # Of real ones (0, 1) is right for the second, of fakes for the first; 0
    # is on the log loss's boundary.
    accuracy = 0.5 if form == "2018" else 0.25
    assert float(objectives.discriminator_accuracy(judgement)) == accuracy


def test_divergence_is_that_of_the_normal_distributions():
    """KL(N(mu, 1) || N(0, 1)) = mu^2 / 2: the mean square is twice that."""
    mu = np.float32([[[[0.5, -2.0]]]])
    # E_q[log q - log p] for one draw x of N(mu, 1) is mu (x - mu) + mu^2 / 2.
    found = kl_divergence(tf.constant(mu))
    np.testing.assert_allclose(found, [np.mean(2 * (mu**2 / 2))])


def test_weights_of_1_leave_the_published_figures_to_the_last_bit():
    rng = np.random.default_rng(0)
    images, made = rng.uniform(-1, 1, (2, 1, 4, 4, 3)).astype(np.float32)
    latent = rng.normal(size=(1, 2, 2, 8)).astype(np.float32)
    scales = [
        tf.constant(rng.normal(size=(1, s, s, 1)), tf.float32) for s in (2, 1)
    ]
    everything = Translations(*(tf.constant(made),) * 3, latent, latent)
    one = tf.ones([1])
    batch = UnpairedBatch(tf.constant(images), one, tf.constant(images), one)
    found = Objectives(UNITSettings(), 1).generator_losses(
        batch, everything, everything, scales, scales
    )
    mean, ten, hundredth = tf.reduce_mean, tf.constant(10.0), tf.constant(0.01)
    published = {
        "reconstruction": ten * mean(tf.abs(made - images)),
        "cycle": ten * mean(tf.abs(made - images)),
        "kl": hundredth * mean(tf.square(latent)),
        "cycle_kl": hundredth * mean(tf.square(latent)),
    }
    for name, value in published.items():
        assert float(found[f"{name}/source"]) == float(value), name
    fools = mean((scales[0] - 1) ** 2) + mean((scales[1] - 1) ** 2)
    assert float(found["generator/source_to_target"]) == float(fools)
