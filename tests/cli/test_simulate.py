from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from trap.cli import main
from trap.simulation.survey import load_truth

SMALL = ["--timesteps", "2", "--bands", "2", "--size", "64", "--steady", "3", "--variables", "1", "--transients", "1"]


def test_survey_has_the_requested_size(tmp_path, capsys):
    assert main(["simulate", str(tmp_path / "sky"), *SMALL]) == 0
    assert len(list((tmp_path / "sky").glob("*.fits"))) == 4
    assert sorted(load_truth(tmp_path / "sky").sources["kind"]) == ["steady"] * 3 + ["transient", "variable"]
    assert "4 images" in capsys.readouterr().out


def test_settings_of_the_command_reach_images_and_truth(tmp_path, capsys):
    options = {
        "--centre": "120 -30", "--pixel-scale": "2", "--beam": "9 7 -20", "--frequency": "60e6",
        "--band-spacing": "2e6",
        "--rms": "0.5", "--steady-sigma": "20 50", "--modulation": "0.2 0.2", "--gain-scatter": "0.1", "--shift": "2",
        "--refraction": "20", "--decorrelation": "0.1", "--min-separation": "1.2",
        "--counts": "mandal2021",
    }  # fmt: skip
    words = [word for name, values in options.items() for word in (name, *values.split())]
    assert main(["simulate", str(tmp_path), *SMALL, *words]) == 0, capsys.readouterr().err
    header = fits.getheader(tmp_path / "t0001_b01.fits")
    assert (header["CRVAL1"], header["CRVAL2"], header["CRVAL3"], header["CDELT3"]) == (120, -30, 62e6, 1e6)
    expected = (9 / 3600, 7 / 3600, -20, 2 / 3600)
    assert tuple(header[name] for name in ("BMAJ", "BMIN", "BPA", "CDELT2")) == pytest.approx(expected)
    truth = load_truth(tmp_path)
    steady, variable = (truth.sources[truth.sources["kind"] == kind] for kind in ("steady", "variable"))
    snr = steady["max_snr"][:, 0]
    assert 20 <= snr.min() < snr.max() <= 50
    assert variable["modulation"] == pytest.approx(0.2)
    for name in ("gain", "shift_ew", "shift_ns", "refraction_rms", "decorrelation"):
        assert len(set(truth.images[name])) > 1


def test_settings_of_crowding_and_sidelobes_reach_the_truth(tmp_path, capsys):
    words = (
        "--transients 2 --transient-distance 0.5 --close-pairs 4 --pair-distance 0.6 2 --pair-sigma 20 60 "
        "--pair-ratio 2 --doubled 1 --doubled-at 1 --bright 1 --bright-sigma 5000 --sidelobes 0.01 "
        "--sidelobe-residual 0.2 --sidelobe-spacing 4 --sidelobe-rings 3 --sidelobe-spokes 0 --min-separation 3"
    )
    small = ["--timesteps", "2", "--bands", "1", "--size", "256", "--steady", "20", "--variables", "0"]
    assert main(["simulate", str(tmp_path), *small, *words.split()]) == 0, capsys.readouterr().err
    truth = load_truth(tmp_path)
    sources = truth.sources
    assert max(sources["max_snr"][:, 0]) == pytest.approx(5000)
    # Beams of 5 pixels of 5 arcsec.
    assert sources["neighbour_distance"][sources["kind"] == "transient"] == pytest.approx(12.5, rel=1e-3)
    assert list(sources["doubled_at"]).count(1) == 1
    assert np.all(truth.images["sidelobes"] != 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--transient-distance 1 2 3", "transient_distance_beams is one number or a range, got 3 numbers"),
        ("--pair-distance 1e300 --close-pairs 1", "close_pair_beams must be at most half as wide as the image"),
        ("--beam 1e-30 1e-30", "beam_fwhm_pix must be at least 0.5, got 2e-31"),
        ("--beam 1000 1", "beam_axis_ratio must be at most 100, got 1000.0"),
        ("--beam 7 9", "beam must have a major axis, a shorter minor axis and an angle, got 7.0 9.0 0.0"),
        ("--pixel-scale 1e-300", "pixel_scale_arcsec must be at least 1e-06, got 1e-300"),
        ("--frequency 1e-300", "no counts between"),
        ("--centre 10 nan", "centre_dec must be at most 90, got nan"),
        ("--transient-sigma nan 5", "transient_sigma must be a range of positive numbers, got nan to 5.0"),
    ],
)
def test_impossible_setting_is_one_line(tmp_path, capsys, words, message):
    assert main(["simulate", str(tmp_path / "sky"), *words.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"transients: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("beam", ["9", "9 7 20 1"])
def test_beam_of_too_few_or_many_numbers_is_one_line(tmp_path, capsys, beam):
    assert main(["simulate", str(tmp_path), "--beam", *beam.split()]) == 1
    numbers = "1 number" if beam == "9" else "4 numbers"
    assert capsys.readouterr().err == (
        f"transients: --beam has a major axis, a minor axis and optionally a position angle, got {numbers}\n"
    )


def test_same_seed_makes_the_same_images(tmp_path):
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        main(["simulate", str(tmp_path / name), *SMALL, "--seed", seed])
    a, b, c = (next((tmp_path / name).glob("*.fits")).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_impossible_survey_is_one_line(tmp_path, capsys):
    assert main(["simulate", str(tmp_path), "--size", "8"]) == 1
    assert capsys.readouterr().err == "transients: size must be at least 32, got 8\n"


def test_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["simulate", str(tmp_path / "file"), *SMALL]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"transients: {tmp_path / 'file'}: cannot be written: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["t0000_b00.fits", "target.fits"])
def test_folder_with_other_images_of_such_names_is_refused(tmp_path, capsys, name):
    (tmp_path / name).write_text("somebody's")
    assert main(["simulate", str(tmp_path), "--timesteps", "2", "--bands", "1", "--size", "64"]) == 1
    assert f"holds 1 other image with names of simulated images, such as {name}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
