from __future__ import annotations

import pytest

from trap.errors import ConfigError
from trap.images.patterns import expand_patterns


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
