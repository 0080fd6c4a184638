import csv

import numpy as np
import pytest

from kliep_tf.data import weights
from kliep_tf.data.weights import ImportanceWeights
from kliep_tf.errors import UserError


def make(names=("a", "b", "c"), values=(0.5, 1.0, 1.5), **options):
    return ImportanceWeights(
        "source", np.array(names), np.array(values, np.float32), **options
    )


def test_saved_weights_come_back(tmp_path):
    saved = make(summary={"ess": 0.9}, model={"alpha": np.array([1.0, 2.0])})
    weights.save_weights(tmp_path, saved)
    loaded = weights.load_weights(tmp_path, "source")
    assert loaded.filenames.tolist() == ["a", "b", "c"]
    assert loaded.weights.tolist() == [0.5, 1.0, 1.5]
    assert loaded.summary == {"ess": 0.9}
    assert loaded.model["alpha"].tolist() == [1.0, 2.0]


def test_files_are_readable_without_this_library(tmp_path):
    weights.save_weights(tmp_path, make())
    with np.load(tmp_path / "source_weights.npz") as file:
        assert file["filenames"].tolist() == ["a", "b", "c"]
        assert file["weights"].tolist() == [0.5, 1.0, 1.5]
    with open(tmp_path / "source_weights.csv") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["filename", "weight"],
        ["a", "0.5"],
        ["b", "1"],
        ["c", "1.5"],
    ]


def test_lookup_joins_by_filename_not_by_position():
    assert make().lookup(["c", "a"]).tolist() == [1.5, 0.5]


def test_missing_weight_names_the_example():
    with pytest.raises(UserError, match="'frankfurt'"):
        make().lookup(["a", "frankfurt"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_unusable_weight_is_refused_by_name(tmp_path, bad):
    broken = make(values=(1.0, bad, 1.0))
    with pytest.raises(UserError, match="for 'b'"):
        weights.save_weights(tmp_path, broken)


def test_weights_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "source_weights.npz", something=np.zeros(3))
    with pytest.raises(UserError, match="something else"):
        weights.load_weights(tmp_path, "source")
    (tmp_path / "target_weights.npz").write_text("no npz")
    with pytest.raises(UserError, match="something else"):
        weights.load_weights(tmp_path, "target")


def test_no_weights_says_which_file_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"target_weights\.npz"):
        weights.load_weights(tmp_path, "target")


def test_temper_has_mean_1_at_every_exponent():
    values = np.array([0.0, 1.0, 3.0])
    # 0, 1, 9 have mean 10 / 3.
    np.testing.assert_allclose(
        weights.temper(values, 2.0), [0.0, 0.3, 2.7], rtol=1e-6
    )
    np.testing.assert_array_equal(weights.temper(values, 0.0), [1, 1, 1])


def test_all_zero_weights_cannot_be_normalised():
    with pytest.raises(UserError, match="positive mean"):
        weights.temper(np.zeros(3), 1.0)


def test_effective_sample_size():
    assert weights.effective_sample_size(np.ones(5)) == 1.0
    # (1 + 3)^2 / (2 * (1 + 9)) = 16 / 20
    assert weights.effective_sample_size(np.array([1.0, 3.0])) == 0.8


def test_cohorts_are_equal_parts_by_importance():
    importance = np.array([3.0, 0.1, 2.0, 0.2, 1.0, 0.3])
    rows = {
        cohort: weights.cohort_rows(importance, cohort).tolist()
        for cohort in weights.COHORTS
    }
    assert rows == {"low": [1, 3], "medium": [4, 5], "high": [0, 2]}


def test_every_image_is_in_one_cohort_even_where_weights_are_equal():
    rows = [weights.cohort_rows(np.ones(8), name) for name in weights.COHORTS]
    assert sorted(np.concatenate(rows)) == list(range(8))
    assert [len(part) for part in rows] == [3, 3, 2]
