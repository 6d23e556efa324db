import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.escapes import csv_text, markdown_text, plain_lines, plain_page, plain_text

# Categories of Unicode: control, format (bidi, zero width), surrogate, separators of lines and of paragraphs.
UNSEEN = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Lu", "Po", "Sm"]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("t0001_b00.fits", "t0001_b00.fits"),
        ("σ ≥ 5, Größe 画像\u3000x", "σ ≥ 5, Größe 画像\u3000x"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),  # the same escape code in one character
        ("a\nwarning: b\r\t", "a\\nwarning: b\\r\\t"),
        ("\u202egnp.fits", "\\u202egnp.fits"),
        ("a\u2066b\u200fc\u061cd", "a\\u2066b\\u200fc\\u061cd"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\U000e0001", "\\U000e0001"),
        ("\udcff.fits", "\\xff.fits"),  # a byte of a file name that is not UTF-8
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_one_line_without_effects(text, shown):
    assert plain_text(text) == shown


@given(UNSEEN)
def test_any_text_is_printed_as_text(text):
    shown = plain_text(text)
    assert all(c.isprintable() or unicodedata.category(c) == "Zs" for c in shown)
    shown.encode()
    assert plain_text(shown) == shown


def test_lines_of_ours_remain_lines():
    assert plain_lines(["a", "b\nc"]) == "a\nb\\nc"
    assert plain_page("a\nb\x07") == "a\nb\\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("t0001_b00.fits: noise 3.2 mJy/beam", "t0001_b00.fits: noise 3.2 mJy/beam"),
        ("12:00:01", "12:00:01"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript\\:alert(1))"),
        ("<javascript:alert(1)>", "\\<javascript\\:alert(1)\\>"),
        ("<img src=x onerror=alert(1)>", "\\<img src=x onerror=alert(1)\\>"),
        ("https://evil.example, www.evil.example", "https\\://evil.example, www\\.evil.example"),
        ("a@evil.example", "a\\@evil.example"),
        ("a|b `c` *d* ~e~", "a\\|b \\`c\\` \\*d\\* \\~e\\~"),
        ("_emphasis_ x_y", "\\_emphasis\\_ x_y"),
        ("&lt;b&gt;", "\\&lt;b\\&gt;"),
        ("\\[x\\](y)", "\\\\\\[x\\\\\\](y)"),
        ("a\n\n# heading \x1b", "a # heading \\\\x1b"),
    ],
)
def test_text_of_markdown_has_no_marks(text, shown):
    assert markdown_text(text) == shown


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "-x.fits"]
)
def test_formula_is_no_formula_in_a_cell(text):
    assert csv_text(text).startswith("'")


@pytest.mark.parametrize("text", ["-1.5", "+2", "-3e-4", "-inf", "x=1", "a.fits", "", "J1200-30"])
def test_numbers_and_other_texts_are_themselves_in_a_cell(text):
    assert csv_text(text) == text


@given(st.text())
def test_cell_is_read_back_on_one_line(text):
    file = io.StringIO()
    csv.writer(file).writerow([csv_text(text), "end"])
    assert len(file.getvalue().splitlines()) == 1
    ((cell, end),) = csv.reader([file.getvalue()])
    assert (cell, end) == (csv_text(text), "end")
