import numpy as np

from kliep_tf.data.png import encode_png
from kliep_tf.experiments.demo_run import page

PNG = encode_png(np.zeros((2, 2, 3), np.uint8))
SECTIONS = [
    page.Section("Summary", [page.Paragraph("a < b & c", important=True)]),
    page.Section(
        "Rest",
        [
            page.Table(["", "n|m"], [["<i>", "1"]], "why"),
            page.Chart(PNG, "a chart"),
            page.Pictures([("one", PNG), ("two", PNG)], "a pair"),
            page.Legend("Colours", {"red things": (255, 0, 0)}),
            page.Code("run --this"),
            page.Bullets(["first", "second"]),
        ],
    ),
]


def test_html_is_escaped_and_stands_alone():
    html = page.to_html("A <title>", SECTIONS)
    assert "<h1>A &lt;title&gt;</h1>" in html
    assert "a &lt; b &amp; c" in html
    assert "<td>&lt;i&gt;</td>" in html
    assert html.count("data:image/png;base64,") == 3
    assert "rgb(255, 0, 0)" in html
    for word in ("http", "<script", "<link", "url("):
        assert word not in html


def test_markdown_keeps_the_words_and_leaves_the_pictures_out():
    text = page.to_markdown("Title", SECTIONS)
    assert text.startswith("# Title\n\n**a < b & c**\n\n## Rest\n")
    assert "|  | n\\|m |\n|---|---:|\n| <i> | 1 |\n\nwhy" in text
    assert "(Picture in the HTML report: a chart)" in text
    assert "base64" not in text
    assert "- first\n- second" in text
