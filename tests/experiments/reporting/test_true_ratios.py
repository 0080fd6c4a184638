import pytest

from kliep_tf.errors import UserError
from kliep_tf.experiments.reporting.true_ratios import (
    in_order,
    read_true_ratios,
)

SCENES = """\
density_ratio,filename,inverse_density_ratio
0.5,b,2
4,a,0.25
"""


def test_each_domain_has_the_ratio_that_is_estimated_over_it(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text(SCENES)
    assert read_true_ratios(path, "source") == {"a": 4.0, "b": 0.5}
    assert read_true_ratios(path, "target") == {"a": 0.25, "b": 2.0}


def test_ratios_follow_the_filenames():
    ratios = {"a": 4.0, "unused": 9.0, "b": 0.5}
    found = in_order(ratios, ["b", "a"], "scenes.csv", "image")
    assert found.tolist() == [0.5, 4.0]


def test_scenes_of_the_wrong_kind_are_refused(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text("filename,openness\na,0.5\n")
    with pytest.raises(UserError, match="density_ratio"):
        read_true_ratios(path, "source")


@pytest.mark.parametrize("cell", ["", ",nan", ",inf", ",-1"])
def test_a_ratio_that_is_none_is_refused(tmp_path, cell):
    path = tmp_path / "scenes.csv"
    path.write_text(f"filename,density_ratio\na{cell}\n")
    with pytest.raises(UserError, match=r"scenes\.csv: expected the rendered"):
        read_true_ratios(path, "source")
