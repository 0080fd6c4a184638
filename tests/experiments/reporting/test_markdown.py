from kliep_tf.experiments.reporting.markdown import to_table


def test_numbers_are_set_to_the_right_and_words_need_not_be():
    lines = to_table(["name", "a", "b"], [["x", "1", "2"]]).splitlines()
    assert lines == [
        "| name | a | b |",
        "| --- | ---: | ---: |",
        "| x | 1 | 2 |",
    ]
    words = to_table(["name", "a"], [["x", "1 / 2"]], rule="---")
    assert words.splitlines()[1] == "| --- | --- |"


def test_a_bar_in_a_name_begins_no_cell():
    lines = to_table(["method", "mIoU"], [["a|b", "25.8"]]).splitlines()
    assert lines[2] == r"| a\|b | 25.8 |"
