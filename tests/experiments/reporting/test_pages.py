import json

import numpy as np

from kliep_tf.data.png import encode_png
from kliep_tf.experiments.reporting import pages

PNG = encode_png(np.zeros((2, 2, 3), np.uint8))
SECTIONS = [
    pages.Section("", [pages.Paragraph("a < b & c", important=True)]),
    pages.Section(
        "Rest",
        [
            pages.Table(["", "n|m"], [["<i>", "1"]], "why"),
            pages.Chart(PNG, "a chart"),
            pages.Chart(PNG, "a kept chart", "kept.png"),
            pages.Pictures([("one", PNG), ("two", PNG)], "a pair"),
            pages.Legend("Colours", {"red things": (255, 0, 0)}),
            pages.Code("run --this"),
            pages.Bullets(["first", "second"]),
        ],
    ),
]


def test_html_is_escaped_and_stands_alone():
    html = pages.to_html("A <title>", SECTIONS)
    assert "<h1>A &lt;title&gt;</h1>" in html
    assert "a &lt; b &amp; c" in html
    assert "<td>&lt;i&gt;</td>" in html
    assert html.count("data:image/png;base64,") == 4
    assert "rgb(255, 0, 0)" in html
    for word in ("http", "<script", "<link", "url("):
        assert word not in html


def test_a_quote_does_not_leave_its_attribute():
    html = pages.to_html("t", [pages.Section("", [pages.Chart(PNG, 'a "b"')])])
    assert 'alt="a &#34;b&#34;"' in html


def test_markdown_is_the_same_without_pictures_that_have_no_file():
    # A bar in a name begins no cell.
    assert pages.to_markdown("Title", SECTIONS) == (
        "# Title\n\n**a < b & c**\n\n## Rest\n\n"
        "|  | n\\|m |\n| --- | ---: |\n| <i> | 1 |\n\nwhy\n\n"
        "(Picture in the HTML report: a chart)\n\n"
        "![a kept chart](kept.png)\n\n"
        "(Picture in the HTML report: a pair)\n\n"
        "```\nrun --this\n```\n\n"
        "- first\n- second\n"
    )


def test_words_are_not_set_to_the_right():
    table = pages.Table(["name", "a"], [["x", "1 / 2"]], numbers=False)
    section = pages.Section("", [table])
    assert "| --- | --- |" in pages.to_markdown("t", [section])
    assert '<table class="words">' in pages.to_html("t", [section])


def test_a_report_is_its_page_its_pictures_and_its_numbers(tmp_path):
    numbers = {"rows": [0.5, float("nan")], "more": {"a": float("inf")}}
    path = pages.write_report(tmp_path, "toy", "Title", SECTIONS, numbers)
    assert path == tmp_path / "toy.md"
    assert (tmp_path / "kept.png").read_bytes() == PNG
    assert not (tmp_path / "toy.html").exists()
    found = json.loads((tmp_path / "toy.json").read_text())
    # NaN and infinity are no JSON.
    assert found["rows"] == [0.5, None]
    assert found["more"] == {"a": None}
    assert "tensorflow" in found["versions"]
    path = pages.write_report(tmp_path, "toy", "T", SECTIONS, {}, html=True)
    assert path == tmp_path / "toy.html"
