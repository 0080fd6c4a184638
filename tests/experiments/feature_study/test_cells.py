import numpy as np
import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.data.features import Features
from kliep_tf.errors import UserError
from kliep_tf.experiments.feature_study import cells, plan

SKY, ROAD = 10, 0
NUMBER = 80


def _shares(*skies: float) -> np.ndarray:
    """[N, 19]: this much sky above a road."""
    shares = np.zeros((len(skies), 19))
    shares[:, SKY] = skies
    shares[:, ROAD] = 1.0 - shares[:, SKY]
    return shares


def _names(number: int) -> np.ndarray:
    return np.array([f"{row:05d}" for row in range(number)])


JUDGE = cells.Judge(
    filenames=_names(2),
    shares=_shares(0.8, 0.2),
    other_shares=_shares(0.35)[0],
    classes=CITYSCAPES_CLASSES,
    true_ratio=np.array([0.5, 1.5]),
)


def test_equal_weights_are_judged():
    found = cells.equal_weights(JUDGE)
    # Sky (0.8 + 0.2) / 2 = 0.5; the other domain has 0.35.
    assert found["sky"] == pytest.approx(0.5)
    assert found["share_distance"] == pytest.approx(0.15)
    assert found["ess"] == pytest.approx(1.0)
    # ((1 - 0.5)^2 + (1 - 1.5)^2) / 2
    assert found["normalised_error"] == pytest.approx(0.25)
    assert found["rank_correlation"] == 0.0  # no order at all


def test_the_true_ratio_is_judged_perfect():
    found = cells.true_weights(JUDGE)
    # Sky (0.5 * 0.8 + 1.5 * 0.2) / 2 = 0.35.
    assert found["share_distance"] == pytest.approx(0.0)
    assert found["rank_correlation"] == pytest.approx(1.0)
    assert found["normalised_error"] == pytest.approx(0.0)


def test_cell_recovers_a_ratio_that_is_known():
    # Sky of the source is uniform, that of the target of density 2 (1 - sky);
    # both taken at quantiles, so that there is no noise.
    quantiles = (np.arange(NUMBER) + 0.5) / NUMBER
    sky = {"source": quantiles, "target": 1 - np.sqrt(1 - quantiles)}
    ratio = 2 * (1 - quantiles)
    features, judges = [], []
    for domain, other in (("source", "target"), ("target", "source")):
        values = _shares(*sky[domain])
        features.append(Features(_names(NUMBER), values, np.arange(19)))
        true = ratio if domain == "source" else None
        judges.append(
            cells.Judge(
                _names(NUMBER),
                values,
                _shares(*sky[other]).mean(0),
                CITYSCAPES_CLASSES,
                true,
            )
        )
    setting = plan.Setting("wide", "1 x median", width=1.0)
    found = cells.run_cell(
        plan.LABELS, setting, tuple(features), tuple(judges), seed=0
    )
    assert found["source"]["rank_correlation"] > 0.95
    assert found["source"]["width"] == pytest.approx(1.0)
    assert found["source"]["decided_by"] == "given"
    for domain, judge in zip(("source", "target"), judges, strict=True):
        before = cells.equal_weights(judge)["share_distance"]
        assert found[domain]["share_distance"] < before / 2


def test_features_of_other_images_are_refused():
    features = Features(_names(3), _shares(0.1, 0.2, 0.3), np.arange(19))
    setting = plan.Setting("wide", "1 x median", width=1.0)
    with pytest.raises(UserError, match="features of the images judged"):
        cells.run_cell(plan.LABELS, setting, (features,) * 2, (JUDGE,) * 2, 0)
