from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.errors import ConfigError
from trap.images.patterns import expand_patterns, path_of, path_text


def test_patterns_expand_to_paths_each_once(tmp_path):
    for name in ("b.fits", "a.fits", "c.txt"):
        (tmp_path / name).touch()
    patterns = [str(tmp_path / "b.fits"), str(tmp_path / "*.fits")]
    assert expand_patterns(patterns) == [str(tmp_path / "b.fits"), str(tmp_path / "a.fits")]


def test_missing_file_without_a_pattern_is_kept_for_the_report(tmp_path):
    assert expand_patterns([str(tmp_path / "gone.fits")]) == [str(tmp_path / "gone.fits")]


def test_existing_name_with_characters_of_a_pattern_is_a_path(tmp_path):
    for name in ("night[1].fits", "night1.fits", "what?.fits"):
        (tmp_path / name).touch()
    for name in ("night[1].fits", "what?.fits"):
        assert expand_patterns([str(tmp_path / name)]) == [str(tmp_path / name)]


def test_file_that_is_found_by_links_in_a_circle_is_taken_once(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "a.fits").touch()
    (tmp_path / "night" / "up").symlink_to(tmp_path)
    (tmp_path / "loop.fits").symlink_to("loop.fits")
    assert expand_patterns([str(tmp_path / "**" / "a.fits")]) == [str(tmp_path / "night" / "a.fits")]


def test_pattern_without_a_match_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no image matches '.*none\*.fits'"):
        expand_patterns([str(tmp_path / "none*.fits")])


def test_no_patterns_at_all_are_refused():
    with pytest.raises(ConfigError, match="no images given"):
        expand_patterns([])


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name and b"\\x" not in name))
def test_any_file_name_is_valid_text_and_found_again(name):
    raw = os.fsdecode(name)
    text = path_text(raw)
    assert text.encode("utf-8").decode("utf-8") == text
    assert os.fsencode(path_of(text)) == os.fsencode(Path(raw))


@pytest.mark.parametrize(
    ("name", "text"),
    [(b"b\xff.fits", r"b\xff.fits"), ("é.fits".encode(), "é.fits"), (b"\xc3\xa9\xe9.fits", r"é\xe9.fits")],
)
def test_only_bytes_that_are_not_utf_8_are_written_as_numbers(name, text):
    assert path_text(os.fsdecode(name)) == text


def test_file_whose_name_has_such_a_number_is_found_by_its_name(tmp_path):
    written, raw = tmp_path / r"b\xff.fits", tmp_path / os.fsdecode(b"b\xff.fits")
    raw.touch()
    assert path_of(str(written)) == raw
    written.touch()
    assert path_of(str(written)) == written
    assert path_of(r"b\x41.fits").name == r"b\x41.fits"  # ASCII is never written as a number


@pytest.mark.parametrize("pattern", ["*/*.fits", r"n\xe9/b\xff.fits", r"n\xe9/*.fits", "**/*.fits"])
def test_patterns_match_names_that_are_not_utf_8(tmp_path, pattern):
    folder = tmp_path / os.fsdecode(b"n\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"b\xff.fits")).touch()
    for given_pattern in (pattern, pattern.replace(r"\xe9", "\udce9").replace(r"\xff", "\udcff")):
        assert expand_patterns([f"{tmp_path}/{given_pattern}"]) == [rf"{tmp_path}/n\xe9/b\xff.fits"]


def test_message_on_a_pattern_without_a_match_can_be_printed():
    with pytest.raises(ConfigError, match=r"no image matches 'b\\xff\*'"):
        expand_patterns(["b\udcff*"])


@pytest.mark.parametrize("url", ["s3://u:SECRET@h/x.fits", "postgresql://u:SECRET@h/x", "https://h/SECRET*.fits"])
def test_url_is_no_image_and_is_not_shown(url):
    with pytest.raises(ConfigError, match="named by a URL") as caught:
        expand_patterns([url])
    assert "SECRET" not in str(caught.value)
