import shlex

from kliep_tf import cli
from kliep_tf.experiments.reporting.markdown import command_text, to_table
from kliep_tf.experiments.table1 import Table1Config


def test_numbers_are_set_to_the_right_and_words_need_not_be():
    lines = to_table(["name", "a", "b"], [["x", "1", "2"]]).splitlines()
    assert lines == [
        "| name | a | b |",
        "| --- | ---: | ---: |",
        "| x | 1 | 2 |",
    ]
    words = to_table(["name", "a"], [["x", "1 / 2"]], rule="---")
    assert words.splitlines()[1] == "| --- | --- |"


def test_command_of_a_report_gives_its_configuration_again():
    config = Table1Config(
        "out", "s", "t", "v", methods=("CycleGAN:0:0", "KLIEP (1,1):1:1")
    )
    text = command_text("table1", config)
    words = shlex.split(text.strip("`\n").replace("\\\n", " "))
    assert cli.parse(Table1Config, words[2:]) == config


def test_a_bar_in_a_name_begins_no_cell():
    lines = to_table(["method", "mIoU"], [["a|b", "25.8"]]).splitlines()
    assert lines[2] == r"| a\|b | 25.8 |"
