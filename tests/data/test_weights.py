import csv

import hypothesis
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


def test_weights_of_the_other_domain_are_refused(tmp_path):
    weights.save_weights(tmp_path, make())
    (tmp_path / "source_weights.npz").rename(tmp_path / "target_weights.npz")
    with pytest.raises(UserError, match=r"target domain, found .* the source"):
        weights.load_weights(tmp_path, "target")


def test_missing_weight_names_the_example():
    with pytest.raises(UserError, match="'frankfurt'"):
        make().lookup(["a", "frankfurt"])


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("weights", np.array(["1", "1", "1"]), "found <U1"),
        ("weights", np.ones((3, 1)), r"found the shape \[3, 1\]"),
        ("weights", np.ones(2), "of one length, found 2 and 3"),
        ("weights", np.zeros(3), "positive sum of weights, found 0.0"),
        ("filenames", np.arange(3), "found int64"),
        ("filenames", np.array(list("aba")), "found 'a' 2 times"),
        ("summary", np.array("[" * 9999), "nested too deeply"),
        ("summary", np.array("{}}"), "found no JSON"),
        ("summary", np.array('{"mixture": "half"}'), "found 'half'"),
        ("summary", np.array('{"mean_ratio": 0.0}'), "above 0, found 0.0"),
    ],
)
def test_damaged_weights_are_one_line(tmp_path, key, value, found):
    weights.save_weights(tmp_path, make())
    path = tmp_path / "source_weights.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {key: value}))
    with pytest.raises(UserError, match=found) as error:
        weights.load_weights(tmp_path, "source")
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("b,1\n", "b,2\n", "beside it, b,1, found b,2"),
        ("b,1\n", "", "beside it, b,1, found c,1.5"),
        ("c,1.5\n", "", "c,1.5, found nothing more"),
        ("c,1.5\n", "c,1.5\nd,1\n", "nothing more, found d,1"),
        ("b,1\n", "b,one\n", "found b,one"),
    ],
)
def test_edited_table_is_refused_and_not_ignored(tmp_path, old, new, found):
    weights.save_weights(tmp_path, make())
    path = tmp_path / "source_weights.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=found) as error:
        weights.load_weights(tmp_path, "source")
    assert str(error.value).startswith(str(path))


def test_table_that_a_program_for_tables_has_saved_is_no_edit(tmp_path):
    weights.save_weights(tmp_path, make(values=(0.123456789, 1.0, 1.876543211)))
    path = tmp_path / "source_weights.csv"
    text = "filename,weight\r\na,0.1234568\r\nb,1.0\r\nc,1.876543,\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert len(weights.load_weights(tmp_path, "source").weights) == 3
    path.unlink()
    assert len(weights.load_weights(tmp_path, "source").weights) == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_unusable_weight_is_refused_by_name(tmp_path, bad):
    broken = make(values=(1.0, bad, 1.0))
    with pytest.raises(UserError, match="for 'b'"):
        weights.save_weights(tmp_path, broken)


def test_weights_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "source_weights.npz", something=np.zeros(3))
    with pytest.raises(UserError, match="filenames, found something"):
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


def test_clipped_weights_keep_the_limit_and_mean_1():
    # 6 is held at 3; the others, 1 and 1 and 0, share what is left of 4: 1.
    found = weights.clip(np.array([1.0, 6.0, 0.0, 1.0]), 3.0)
    np.testing.assert_allclose(found, [0.5, 3.0, 0.0, 0.5])
    # 8 is held at 2; then 1 times 4 / 3 each stays below it.
    found = weights.clip(np.array([1.0, 8.0, 1.0, 1.0]) * 4 / 11, 2.0)
    np.testing.assert_allclose(found, [2 / 3, 2.0, 2 / 3, 2 / 3], rtol=1e-6)


def test_what_clipping_one_weight_lifts_over_the_limit_is_held_too():
    # Of mean 1. At a limit of 1.5 the 2 is held; the others would be
    # 2.5 / 2 times 1.3, 0.5 and 0.2, and 1.625 is above: held as well. What is
    # left of 4 is 1, of which 0.5 and 0.2 get 5 / 7 and 2 / 7.
    found = weights.clip(np.array([2.0, 1.3, 0.5, 0.2]), 1.5)
    np.testing.assert_allclose(found, [1.5, 1.5, 5 / 7, 2 / 7], rtol=1e-6)


def test_limit_above_all_weights_changes_nothing():
    values = np.array([0.5, 1.0, 1.5])
    np.testing.assert_allclose(weights.clip(values, 1.5), values)
    np.testing.assert_allclose(weights.clip(values, 99.0), values)


def test_limit_of_1_makes_all_weights_equal():
    found = weights.clip(np.array([0.25, 1.0, 1.75]), 1.0)
    assert found.tolist() == [1.0, 1.0, 1.0]


def test_limit_that_so_few_weights_cannot_keep_is_refused():
    with pytest.raises(UserError, match=r"at least 1\.333.*3 of 4"):
        weights.clip(np.array([0.0, 1.0, 1.0, 2.0]), 1.2)
    with pytest.raises(UserError, match=r"max_weight=0\.5"):
        weights.clip(np.ones(3), 0.5)


@hypothesis.given(
    hypothesis.strategies.lists(
        hypothesis.strategies.floats(0, 1000, width=32), min_size=1, max_size=30
    ),
    hypothesis.strategies.floats(1, 20),
)
def test_clipping_holds_limit_mean_and_order(values, max_weight):
    values = np.array(values)
    hypothesis.assume(np.count_nonzero(values) * max_weight >= len(values))
    hypothesis.assume(values.max() > 1e-6)
    found = weights.clip(values, max_weight)
    np.testing.assert_allclose(found.mean(), 1.0, rtol=1e-5)
    assert found.max() <= np.float32(max_weight)
    # Nothing that was larger is smaller now, and 0 stays 0.
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    assert not found[values == 0].any()


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
