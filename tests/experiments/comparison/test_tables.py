from kliep_tf.data.class_sets import CITYSCAPES_CLASSES
from kliep_tf.experiments.comparison import tables
from kliep_tf.experiments.reporting.statistics import compare
from tests.experiments.pictures import png_size

NUMBERS = {
    "plain": {"sky": [0.1, 0.2, 0.3], "road": [0.9, 0.9, 0.9]},
    "weighted": {"sky": [0.4, 0.5, 0.6], "road": [0.9, 0.8, float("nan")]},
    "source": {"sky": [0.5], "road": [1.0]},
}
MEASURES = {"sky": "sky kept", "road": "road kept"}


def test_cells_are_means_with_their_interval():
    table = tables.measures_table(NUMBERS, MEASURES)
    assert list(table.headers) == ["", "seeds", "sky kept", "road kept"]
    assert table.rows == [
        # 4.3027 * 10 / sqrt(3) = 24.8
        ["plain", "3", "20.0 ± 24.8", "90.0 ± 0.0"],
        ["weighted", "3", "50.0 ± 24.8", "-"],
        ["source", "1", "50.0", "100.0"],
    ]


def test_differences_show_sign_interval_and_p():
    found = {
        "weighted": {
            "sky": compare([0.4, 0.5, 0.7], NUMBERS["plain"]["sky"]),
            "road": compare([0.8, 0.8, 0.8], NUMBERS["plain"]["road"]),
        }
    }
    table = tables.differences_table(found, "plain", MEASURES)
    # 30, 30, 40 points: mean 33.3, error 3.33, t = 10, p = .0099 (2 dof).
    assert table.rows == [
        ["weighted", "+33.3 ± 14.3 (p = .010)", "-10.0 ± 0.0"]
    ]


def test_every_seed_is_shown():
    table = tables.seeds_table(NUMBERS, MEASURES, ["plain"], [4, 5, 6])
    assert table.rows == [
        ["plain", "4", "10.0", "90.0"],
        ["plain", "5", "20.0", "90.0"],
        ["plain", "6", "30.0", "90.0"],
    ]


def test_class_table_has_19_classes_and_the_mean():
    names = CITYSCAPES_CLASSES.names
    measures = {name: [0.5] for name in (*names, "mean_iou")}
    table = tables.class_table({"a": measures}, CITYSCAPES_CLASSES)
    assert len(table.headers) == len(table.rows[0]) == 21
    assert table.headers[-1] == "mIoU"
    assert table.rows[0][-1] == "50.0"


def test_a_panel_for_each_measure_stands_beside_the_others():
    wide, narrow = (
        png_size(tables.draw_measures(NUMBERS, measures))
        for measures in (MEASURES, {"sky": "sky kept"})
    )
    assert wide[0] > 1.5 * narrow[0]
    assert wide[1] == narrow[1]


def test_no_interval_leads_a_panel_beyond_what_there_can_be(monkeypatch):
    figures = []
    monkeypatch.setattr(tables, "to_png", figures.append)
    # Of two seeds 60 points apart Student's interval has a half width of 381.
    measures = {"apart": [0.2, 0.8], "near": [0.5, 0.52]}
    tables.draw_measures({"row": measures}, {"apart": "", "near": ""})
    apart, near = (axes.get_xlim() for axes in figures[0].axes)
    assert apart == (-2, 102)
    assert 30 < near[0] < 50 and 52 < near[1] < 72
