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
