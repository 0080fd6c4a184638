import math

import pytest

from kliep_tf.data.class_sets import CITYSCAPES_CLASSES, ClassSet
from kliep_tf.errors import UserError
from kliep_tf.experiments.comparison import reference_rows
from kliep_tf.experiments.comparison.tables import class_table


def read(path):
    return reference_rows.read_reference_rows(path, CITYSCAPES_CLASSES)


def write(tmp_path, text: str):
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_per_cent_becomes_shares_under_the_measures_of_our_tables(tmp_path):
    path = write(
        tmp_path,
        'name,mIoU,sky,traffic light\n"theirs, DRN",40.5,,7\nothers,1,2,3\n',
    )
    rows = read(path).numbers
    assert list(rows) == ["theirs, DRN", "others"]
    assert set(rows["others"]) == {
        *CITYSCAPES_CLASSES.names,
        "mean_iou",
        "pixel_accuracy",
    }
    assert rows["theirs, DRN"]["mean_iou"] == [0.405]
    assert rows["theirs, DRN"]["traffic light"] == [0.07]
    assert math.isnan(rows["theirs, DRN"]["sky"][0])
    assert math.isnan(rows["others"]["road"][0])


def test_they_fit_the_layout_of_table_1(tmp_path):
    rows = read(write(tmp_path, "name,road,mIoU\na,90,40.5\n"))
    (line,) = class_table(rows.numbers, CITYSCAPES_CLASSES).rows
    assert line == ["a", "90.0", *["-"] * 18, "40.5"]


def test_a_spreadsheets_mark_and_empty_lines_are_no_matter(tmp_path):
    path = write(tmp_path, "\ufeffname,sky\n\na,50\n\n")
    assert read(path).numbers["a"]["sky"] == [0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a first line of name"),
        ("a,50\n", "found 'a,50'"),
        ("name,skies\na,50\n", "found 'skies'"),
        ("name,sky,sky\na,50,50\n", "each once"),
        ("name,sky\na\n", "1 values in each row, found 'a'"),
        ("name,sky\n,50\n", "expected a name of its own"),
        ("name,sky\na,50\na,60\n", "found 'a,60'"),
        ("name,sky\na,many\n", r"found 'many' \(a, sky\)"),
        ("name,sky\na,101\n", "found '101'"),
        ("name,sky\na,nan\n", "found 'nan'"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, text))


def test_a_missing_file_is_named():
    with pytest.raises(
        UserError, match=r"--reference_rows=none\.csv: expected"
    ):
        read("none.csv")


def test_notes_stand_beside_the_numbers(tmp_path):
    text = 'name,note,sky\na,"with VGG, they say",50\nb,,60\n'
    rows = read(write(tmp_path, text))
    assert rows.notes == {"a": "with VGG, they say"}
    assert rows.numbers["b"]["sky"] == [0.6]


@pytest.mark.parametrize(
    ("table", "number"), [("Table I", 16), ("Table III", 5)]
)
def test_the_papers_rows_ship(table, number):
    (section,) = reference_rows.published_sections(table, CITYSCAPES_CLASSES)
    rows = section.blocks[1].rows
    assert len(rows) == number
    # Cityscapes' own labels, DRN-26: in both tables.
    assert rows[0][1] == "97.3" and rows[0][-1] == "67.4"


def test_the_papers_rows_do_not_stand_beside_other_classes():
    two = ClassSet("two", CITYSCAPES_CLASSES.classes[:2])
    assert reference_rows.published_sections("Table I", two) == []
