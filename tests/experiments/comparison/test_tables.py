from kliep_tf.data.datasets import CLASS_NAMES
from kliep_tf.experiments.comparison import tables
from kliep_tf.experiments.reporting.statistics import compare

NUMBERS = {
    "plain": {"sky": [0.1, 0.2, 0.3], "road": [0.9, 0.9, 0.9]},
    "weighted": {"sky": [0.4, 0.5, 0.6], "road": [0.9, 0.8, float("nan")]},
    "source": {"sky": [0.5], "road": [1.0]},
}
MEASURES = {"sky": "sky kept", "road": "road kept"}


def test_cells_are_means_with_their_interval():
    table = tables.measures_table(NUMBERS, MEASURES)
    assert table.splitlines() == [
        "|  | seeds | sky kept | road kept |",
        "| --- | ---: | ---: | ---: |",
        # 4.3027 * 10 / sqrt(3) = 24.8
        "| plain | 3 | 20.0 ± 24.8 | 90.0 ± 0.0 |",
        "| weighted | 3 | 50.0 ± 24.8 | - |",
        "| source | 1 | 50.0 | 100.0 |",
    ]


def test_differences_show_sign_interval_and_p():
    found = {
        "weighted": {
            "sky": compare([0.4, 0.5, 0.7], NUMBERS["plain"]["sky"]),
            "road": compare([0.8, 0.8, 0.8], NUMBERS["plain"]["road"]),
        }
    }
    last = tables.differences_table(found, "plain", MEASURES).splitlines()[-1]
    # 30, 30, 40 points: mean 33.3, error 3.33, t = 10, p = .0099 (2 dof).
    assert last == "| weighted | +33.3 ± 14.3 (p = .010) | -10.0 ± 0.0 |"


def test_every_seed_is_shown():
    table = tables.seeds_table(NUMBERS, MEASURES, ["plain"])
    assert table.splitlines()[2:] == [
        "| plain | 0 | 10.0 | 90.0 |",
        "| plain | 1 | 20.0 | 90.0 |",
        "| plain | 2 | 30.0 | 90.0 |",
    ]


def test_class_table_has_19_classes_and_the_mean():
    measures = {name: [0.5] for name in (*CLASS_NAMES, "mean_iou")}
    header, _, line = tables.class_table({"a": measures}).split("\n")
    assert header.count("|") == line.count("|") == 22
    assert header.endswith("mIoU |")
    assert line.endswith("50.0 |")
