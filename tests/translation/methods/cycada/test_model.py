"""What the semantic losses are, whom they teach, and when they begin."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kliep_tf.data.pipeline import UnpairedBatch
from kliep_tf.errors import UserError
from kliep_tf.segmentation.frozen import FrozenSegmenter
from kliep_tf.translation.method import Setup
from kliep_tf.translation.methods.cycada.method import METHOD
from kliep_tf.translation.methods.cycada.model import semantic_losses
from kliep_tf.translation.methods.cycada.settings import CyCADASettings
from kliep_tf.translation.methods.cyclegan.objectives import Translations
from tests.translation.methods.cycada.small_model import (
    make_batch,
    make_model,
    segmenter_path,
)
from tests.translation.methods.cyclegan import small_model as cyclegan
from tests.translation.methods.cyclegan.small_model import (
    assert_same,
    networks,
    take,
    trained_weights,
    weights_after,
)
from tests.translation.methods.reuse import give_back_one

pytestmark = pytest.mark.usefixtures("eager")

SEMANTIC = ("semantic/source", "semantic/target")


@pytest.fixture(scope="module")
def segmenter():
    return FrozenSegmenter(segmenter_path())


def noise_as_translations(batch):
    """Other noise in place of the fakes; no loss here reads the rest."""
    other = make_batch(batch.source_weight, batch.target_weight, seed=9)
    return Translations(other.source, other.target, None, None)


def losses_of(segmenter, batch, translations=None, weight=1.0):
    if translations is None:
        translations = noise_as_translations(batch)
    return semantic_losses(
        segmenter,
        batch,
        translations,
        weight=weight,
        global_batch_size=len(batch.source),
    )


def test_both_terms_by_hand(segmenter):
    """Against NumPy, pixel by pixel, from the segmenter's logits."""
    batch = make_batch([0.5, 1.5], [2.0, 0.25])
    translations = noise_as_translations(batch)
    found = losses_of(segmenter, batch, translations, weight=3.0)

    def mean_surprise(images, labels):
        logits = segmenter.logits(images).numpy().astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return [
            np.mean([-np.log(p[c]) for p, c in zip(*pair, strict=True)])
            for pair in (
                (share[label != 255], label[label != 255])
                for share, label in zip(shares, labels, strict=True)
            )
        ]

    label = batch.source_label.numpy()[..., 0]
    one, two = mean_surprise(translations.fake_target, label)
    np.testing.assert_allclose(
        found["semantic/source"], 3 * (0.5 * one + 1.5 * two) / 2, rtol=1e-5
    )
    seen = segmenter.logits(batch.target).numpy().argmax(-1)
    one, two = mean_surprise(translations.fake_source, seen)
    np.testing.assert_allclose(
        found["semantic/target"], 3 * (2 * one + 0.25 * two) / 2, rtol=1e-5
    )


def test_weights_of_1_are_the_plain_mean_to_the_last_bit(segmenter):
    batch = make_batch([1.0, 1.0], [1.0, 1.0])
    fakes = noise_as_translations(batch)
    found = losses_of(segmenter, batch, fakes)
    for name, fake, labels in (
        ("semantic/source", fakes.fake_target, batch.source_label),
        ("semantic/target", fakes.fake_source, segmenter.predict(batch.target)),
    ):
        plain = tf.reduce_mean(segmenter.cross_entropy(labels, fake))
        assert found[name].numpy() == plain.numpy()


def test_weight_0_removes_an_example():
    batch = make_batch([1.0, 0.0], [1.0, 0.0])
    assert_same(
        trained_weights(2, batch, make=make_model),
        trained_weights(2, take(batch, [0]), make=make_model),
    )


def test_weight_2_equals_the_example_twice():
    batch = make_batch([2.0, 1.0], [2.0, 1.0])
    repeated = take(make_batch([1.0, 1.0], [1.0, 1.0]), [0, 0, 1])
    assert_same(
        trained_weights(2, batch, make=make_model),
        trained_weights(2, repeated, make=make_model),
    )


@pytest.mark.parametrize(
    ("weights", "taught", "term"),
    [
        (([1.0], [0.0]), "source_to_target", "semantic/source"),
        (([0.0], [1.0]), "target_to_source", "semantic/target"),
    ],
)
def test_each_term_teaches_the_generator_of_its_images(weights, taught, term):
    """Without cycle and identity, one domain's weights leave its own terms."""
    batch = make_batch(*weights)
    options = {"cycle_weight": 0.0, "identity_weight": 0.0}
    plain = cyclegan.make_model(1, **options)
    semantic = make_model(1, semantic_weight=10.0, **options)
    before = [net.get_weights() for net in networks(semantic)]
    plain.train_step(UnpairedBatch(*batch[:4]))
    figures = semantic.train_step(batch)
    assert {name for name in SEMANTIC if figures[name] != 0} == {term}
    for net, same, start in zip(
        networks(semantic), networks(plain), before, strict=True
    ):
        pairs = list(zip(net.get_weights(), same.get_weights(), strict=True))
        moved = [
            not np.array_equal(one, two)
            for one, two in zip(net.get_weights(), start, strict=True)
        ]
        if net.name == taught:
            assert all(not np.array_equal(*pair) for pair in pairs)
            continue
        # As without the semantic term, the other generator not at all.
        assert all(np.array_equal(*pair) for pair in pairs)
        assert any(moved) == ("discriminator" in net.name)


def test_the_segmenter_never_changes():
    model = make_model(1, semantic_weight=100.0)
    variables = model._task_segmenter._opened.model.variables
    assert variables
    before = [variable.numpy() for variable in variables]
    weights_after(model, make_batch([1.0], [1.0]))
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    held = [v for part in model.trackables().values() for v in part.variables]
    names = {variable.name for variable in held}
    assert not names & {variable.name for variable in variables}


@pytest.mark.parametrize(
    "options",
    [
        {"semantic_weight": 0.0},
        {"semantic_warmup_steps": 2},
        # What XLA would compile.
        {"semantic_warmup_steps": 2, "jit_compile": True},
    ],
)
def test_without_semantic_losses_it_is_cyclegan_to_the_last_bit(options):
    batches = [make_batch([0.7], [1.3], seed) for seed in range(2)]
    plain = weights_after(
        cyclegan.make_model(1, pool_size=2),
        *(UnpairedBatch(*batch[:4]) for batch in batches),
    )
    found = weights_after(make_model(1, pool_size=2, **options), *batches)
    for one, two in zip(plain, found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_warmup_ends_after_its_last_step(jit_compile):
    batches = [make_batch([0.7], [1.3], seed) for seed in range(3)]
    model = make_model(1, semantic_warmup_steps=2, jit_compile=jit_compile)
    figures = [model.train_step(batch) for batch in batches]
    for name in SEMANTIC:
        assert [float(one[name]) > 0 for one in figures] == [False, False, True]


def test_a_restored_model_knows_that_the_warmup_is_over(tmp_path):
    """Bit for bit, with all that CycleGAN's options keep from step to step."""

    def make():
        return make_model(
            1,
            optimizer=keras.optimizers.Adam,
            pool_size=2,
            spectral_norm=True,
            generator_ema=0.5,
            semantic_warmup_steps=1,
        )

    saved = make()
    batches = [make_batch([0.7], [1.3], seed) for seed in range(2)]
    figures = saved.train_step(batches[0])
    assert not any(figures[name] for name in SEMANTIC)
    path = tf.train.Checkpoint(**saved.trackables()).save(
        str(tmp_path / "model")
    )
    expected = values_after(saved, batches[1])
    give_back_one(saved)  # to be made as new
    restored = make()
    tf.train.Checkpoint(**restored.trackables()).restore(path)
    for one, two in zip(
        values_after(restored, batches[1]), expected, strict=True
    ):
        np.testing.assert_array_equal(one, two)


def values_after(model, batch):
    """Returns all that a checkpoint would hold after a semantic step."""
    figures = model.train_step(batch)
    assert all(figures[name] for name in SEMANTIC)
    parts = model.trackables()
    return [v.numpy() for name in sorted(parts) for v in parts[name].variables]


def test_a_warmup_without_an_end_is_refused():
    settings = CyCADASettings(semantic_warmup_steps=5)
    setup = Setup(image_size=(24, 24), num_steps=5)
    with pytest.raises(UserError, match="expected fewer than --steps=5"):
        METHOD.check(settings, setup)
    settings = CyCADASettings(pool_size=1)
    setup = Setup(image_size=(24, 24), num_steps=5, global_batch_size=2)
    with pytest.raises(UserError, match="--pool_size=1"):
        METHOD.check(settings, setup)
