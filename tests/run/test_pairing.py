"""Which source list belongs to which image."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trap.config import PipelineConfig
from trap.errors import ConfigError
from trap.run.pairing import image_stem, pair_images
from trap.run.pairing_table import Circle


def made(folder, *names):
    """Make empty files, and return their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return [str(path) for path in paths]


def paired(pattern, images):
    return pair_images(PipelineConfig().with_options(reading={"catalogues": str(pattern)}), images)


def names_of(pairing):
    """Return the name of the list of each image by the name of the image."""
    return {Path(url).name: Path(one.catalogue).name for url, one in pairing.lists.items()}


def test_without_a_pattern_no_image_has_a_list(tmp_path):
    images = made(tmp_path, "a.fits")
    pairing = paired("", images)
    assert pairing.urls == tuple(images)
    assert not pairing.lists


@pytest.mark.parametrize(
    ("pattern", "catalogue"),
    [
        ("{folder}/{stem}.selavy.components.txt", "a[1].selavy.components.txt"),
        ("lists/selavy-{stem}*.txt", "lists/selavy-a[1].i.txt"),
        ("../other/{name}.csv", "../other/a[1].fits.gz.csv"),
    ],
)
def test_placeholders_are_the_folder_the_name_and_the_stem_of_the_image(tmp_path, pattern, catalogue):
    folder = tmp_path / "run [x]"
    images = made(folder, "a[1].fits.gz", "b.fits")
    made(folder, catalogue)
    pairing = paired(pattern, images)
    assert Path(pairing.lists[images[0]].catalogue).samefile(folder / catalogue)
    assert not pairing.lists[images[0]].problem
    assert "it has no source list" in pairing.lists[images[1]].problem


def test_a_glob_pairs_by_the_longest_stem_in_the_name_and_not_by_a_part_of_a_number(tmp_path):
    images = made(tmp_path, "epoch1.fits", "epoch1_deep.fits", "epoch10.fits")
    made(tmp_path, "lists/epoch1.txt", "lists/selavy-epoch1_deep.txt", "lists/epoch10.components.txt")
    assert names_of(paired("lists/*.txt", images)) == {
        "epoch1.fits": "epoch1.txt",
        "epoch1_deep.fits": "selavy-epoch1_deep.txt",
        "epoch10.fits": "epoch10.components.txt",
    }
    # Without the deep image in the run, its list may be a second one of the other.
    assert names_of(paired("lists/*.txt", images[1:]))["epoch10.fits"] == "epoch10.components.txt"
    with pytest.raises(ConfigError, match="it has 2 source lists"):
        paired("lists/*.txt", images[:1])


def test_the_same_names_in_two_folders_are_two_images(tmp_path):
    images = made(tmp_path, "day1/a.fits", "day2/a.fits")
    lists = made(tmp_path, "day1/a.txt", "day2/a.txt")
    assert [paired("*.txt", images).lists[url].catalogue for url in images] == lists


def test_two_lists_of_an_image_and_two_images_of_a_list_are_problems_of_these_images(tmp_path):
    images = made(tmp_path, "a.fits", "b.fits", "c.fits", "c.image", "d.fits")
    made(tmp_path, "a.txt", "a.islands.txt", "c.txt", "d.txt")
    problems = {Path(url).name: one.problem for url, one in paired("*.txt", images).lists.items()}
    assert problems["d.fits"] == ""
    assert "it has 2 source lists" in problems["a.fits"]
    assert "a.islands.txt" in problems["a.fits"]
    assert "it has no source list" in problems["b.fits"]
    assert problems["c.fits"] == problems["c.image"]
    assert "is paired with 2 images" in problems["c.fits"]


def test_a_pattern_that_pairs_no_image_at_all_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match=r"no image has a source list; .*a\.fits: it has no source list"):
        paired("{stem}.txt", made(tmp_path, "a.fits"))


@pytest.mark.parametrize("pattern", ["{epoch}.txt", "{stem.txt", "{stem!r}.txt", "{0}.txt"])
def test_unknown_placeholders_are_refused(tmp_path, pattern):
    with pytest.raises(ConfigError, match=r"the placeholders are \{folder\}, \{name\}, \{stem\}"):
        paired(pattern, made(tmp_path, "a.fits"))


def test_stems_have_no_endings_of_images():
    assert image_stem("a.b.fits.gz") == "a.b"
    assert image_stem("a.image.FITS") == "a"


def test_a_table_names_lists_maps_and_lists_without_an_image(tmp_path):
    (tmp_path / "pairs.csv").write_text(
        "image,catalogue,noise,background,taustart_ts,freq_eff,bmaj,bmin,ra,dec,radius,rms,note\n"
        "a.fits,lists/a.txt,a.rms.fits,a.mean.fits,,,,,,,,,good\n"
        ",lists/b.txt,,,2020-01-02T03:04:05,8.88e8,0.004,0.003,10,-5,2.5,0.0002,\n"
        "c.fits,,,,,,,,,,,,\n"
    )
    pairing = paired(tmp_path / "pairs.csv", None)
    image, catalogue, without = pairing.urls
    assert [image, catalogue, without] == [str(tmp_path / name) for name in ("a.fits", "lists/b.txt", "c.fits")]
    first, second, third = (pairing.lists[url] for url in pairing.urls)
    assert first.paths == tuple(str(tmp_path / name) for name in ("lists/a.txt", "a.rms.fits", "a.mean.fits"))
    assert math.isnan(first.rms)
    assert not second.has_image
    assert second.given.taustart_ts == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (second.given.freq_eff, second.circle, second.rms) == (8.88e8, Circle(ra=10, dec=-5, radius=2.5), 2e-4)
    assert "catalogue is empty" in third.problem
    # With images named, only these are taken.
    assert paired(tmp_path / "pairs.csv", [catalogue]).urls == (catalogue,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,list\na.fits,a.txt\n", "needs a column catalogue; it has image, list"),
        ("image,catalogue,taustart\na.fits,a.txt,1\n", "unknown column taustart; did you mean taustart_ts"),
        ("catalogue,freq_eff\na.txt,high\n", "row 1: freq_eff is 'high', allowed is a number"),
        ("catalogue,radius\na.txt,100\n", "row 1: radius is '100', allowed is above 0 and at most 90 deg"),
        ("catalogue,stokes\na.txt,X9\n", "row 1: stokes 'X9'"),
        ("image,catalogue,rms\na.fits,a.txt,0.1\n", r"row 1: rms has a value, but the image .*a.fits has its own"),
        ("image,catalogue\na.fits,a.txt\na.fits,b.txt\n", r"row 2: .*a.fits is in an earlier row too"),
        ("catalogue,noise\na.txt,n.fits\n", "row 1: maps of the noise or the background need an image"),
        (
            "image,catalogue,background\na.fits,a.txt,n.fits\n",
            "row 1: a map of the background needs a map of the noise",
        ),
        ("image,catalogue\n,\n", "row 1: has neither an image nor a catalogue"),
        ("image,catalogue\n", "the table has no rows"),
    ],
)
def test_wrong_tables_are_refused_by_row_and_column(tmp_path, table, message):
    (tmp_path / "pairs.csv").write_text(table)
    with pytest.raises(ConfigError, match=message):
        paired(tmp_path / "pairs.csv", None)


@pytest.mark.parametrize("pattern", ["{stem}\0*", "\0.csv", "a\0b", "{folder}" * 200 + "{stem}", "[", "{stem}/"])
def test_impossible_patterns_end_the_run_with_a_message(tmp_path, pattern):
    with pytest.raises(ConfigError, match=r"reading\.catalogues"):
        paired(pattern, made(tmp_path, "a.fits"))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the table: .*nothing\.csv"):
        paired(tmp_path / "nothing.csv", None)


def table_of(tmp_path, **values):
    row = {"catalogue": "a.csv", "taustart_ts": "2026-01-01T00:00:00", "freq_eff": "1.28e9", "bmaj": "0.01"}
    row |= {"bmin": "0.01"} | values
    path = tmp_path / "pairs.csv"
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    return str(path)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"freq_eff": "1280", "freq_bw": "60e6"},
            "freq_eff 1280 Hz with freq_bw 6e.07 Hz is beyond the limit of 1e.06",
        ),
        ({"freq_eff": "1e14"}, "freq_eff 1e.14 Hz is beyond the limit"),
        ({"freq_eff": "1e7", "freq_bw": "60e6"}, "freq_bw 6e.07 Hz is more than twice freq_eff 1e.07 Hz"),
        ({"bmaj": "27", "bmin": "20", "radius": "2"}, "bmaj 27 deg is more than 4 deg, the width of the field"),
        ({"bmaj": "nan"}, "bmaj is 'nan', allowed is a number"),
        ({"bmin": "0.02"}, "row 1: bmin 0.02 deg is larger than bmaj 0.01 deg"),
    ],
)
def test_impossible_metadata_of_a_list_are_refused_with_their_columns(tmp_path, values, problem):
    with pytest.raises(ConfigError, match=f"row 1: .*{problem}" if "row 1" not in problem else problem):
        paired(table_of(tmp_path, **values), None)


def test_path_that_is_no_file_is_named_with_its_kind(tmp_path):
    images = made(tmp_path, "a.fits", "b.fits", "c.fits", "d.fits")
    made(tmp_path, "d.csv")
    (tmp_path / "a.csv").symlink_to(tmp_path / "missing")
    (tmp_path / "b.csv").mkdir()
    os.mkfifo(tmp_path / "c.csv")

    problems = [one.problem for one in paired("{stem}.csv", images).lists.values()]

    assert f"{tmp_path}/a.csv is a symbolic link to a missing file" in problems[0]
    assert f"{tmp_path}/b.csv is a folder" in problems[1]
    assert f"{tmp_path}/c.csv is neither a file nor a folder, such as a pipe" in problems[2]
    assert not problems[3]
