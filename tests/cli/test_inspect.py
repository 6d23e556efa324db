from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits

from trap.cli import main


@pytest.fixture
def good(survey):
    return min(survey.glob("t*.fits"))


def test_good_image_is_described(good, capsys):
    assert main(["inspect", "-v", str(good)]) == 0
    output = capsys.readouterr().out
    assert str(good) in output
    assert "1280 MHz, 100 MHz wide; Stokes I" in output
    assert "128 × 128 of 5″ × 5″, 100.0% with a value" in output
    assert output.rstrip().endswith("usable")


def test_description_for_programs_has_every_figure(good, capsys):
    assert main(["inspect", "--json", str(good)]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert image["usable"]
    assert image["problem"] is None
    assert image["freq_eff"] == 1.28e9
    assert image["rms_qc"] == pytest.approx(1e-4, rel=0.5)
    # A mean of 5 pixels with an axis ratio of 1.2: half widths of 2.5 √1.2 and 2.5 / √1.2.
    assert image["beam_semimajor_pix"] == pytest.approx(2.7386, abs=1e-3)
    assert image["taustart_ts"] == "2026-01-01T00:00:00Z"


def test_image_without_a_beam_is_rejected_with_its_reason(good, tmp_path, capsys):
    data, header = fits.getdata(good, header=True)
    del header["BMAJ"]
    fits.writeto(tmp_path / "beamless.fits", data, header)
    assert main(["inspect", str(good), str(tmp_path / "beamless.fits"), "-v"]) == 3
    output = capsys.readouterr().out
    assert "rejected: beam invalid" in output
    assert "beam       none" in output


def test_empty_image_is_rejected_with_its_reason(good, tmp_path, capsys):
    data, header = fits.getdata(good, header=True)
    fits.writeto(tmp_path / "empty.fits", np.full_like(data, np.nan), header)
    assert main(["inspect", "--json", str(tmp_path / "empty.fits")]) == 3
    (image,) = json.loads(capsys.readouterr().out)
    assert image["problem"].startswith("rejected: contains NaN")
    assert (image["finite_fraction"], image["rms_qc"]) == (0.0, None)


def test_unreadable_file_is_reported_with_its_reason(tmp_path, capsys):
    (tmp_path / "text.fits").write_text("no image")
    assert main(["inspect", str(tmp_path / "text.fits"), str(tmp_path / "nowhere.fits")]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 images: 2 unreadable"
    assert [line.split()[-1] for line in lines[1::2][:2]] == ["unreadable", "unreadable"]
    assert lines[2].startswith("    ")


def test_limits_of_the_settings_apply(good, tmp_path, capsys):
    settings = tmp_path / "trap.toml"
    settings.write_text("[quality]\nrms_est_max = 1e-6\n")
    assert main(["inspect", str(good), "--config", str(settings)]) == 3
    assert "    RMS invalid" in capsys.readouterr().out


def test_pattern_without_images_is_one_line(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "*.fits")]) == 1
    assert capsys.readouterr().err.startswith("transients: no image matches")


def test_images_have_a_line_each_and_problems_come_first(survey, tmp_path, capsys):
    images = sorted(survey.glob("t*.fits"))[:2]
    (tmp_path / "text.fits").write_text("no image")
    data, header = fits.getdata(images[0], header=True)
    fits.writeto(tmp_path / "empty.fits", np.full_like(data, np.nan), header)
    code = main(["inspect", *map(str, images), str(tmp_path / "empty.fits"), str(tmp_path / "text.fits")])
    assert code == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("  ")] == [
        *("image", "text.fits", "empty.fits", images[0].name, images[1].name, "4")
    ]
    assert lines[0].split()[-3:] == ["sources", "searched", "verdict"]
    good = lines[-2].split()
    assert good[1:4] == ["2026-01-01T01:00:00", "1280", "I"]
    assert good[-1] == "usable"
    assert lines[-1] == "4 images: 1 unreadable, 1 rejected, 2 usable"
    reason = next(line for line in lines if "contains NaN" in line)
    assert lines[lines.index(reason) - 1].startswith("empty.fits")


def test_image_without_a_searched_beam_is_not_usable(good, tmp_path, capsys):
    data, header = fits.getdata(good, header=True)
    # The noise of so few pixels says nothing, so that other checks may reject the image too.
    fits.writeto(tmp_path / "tiny.fits", data[..., :2, :3], header)
    assert main(["inspect", str(tmp_path / "tiny.fits")]) == 3
    output = capsys.readouterr().out
    assert "1 image: 1 not usable" in output
    assert "pixels of 3 × 2 searched, fewer than a beam has (source_extraction.margin = " in output


def test_images_are_drawn_into_numbered_files(survey, tmp_path, capsys):
    images = sorted(survey.glob("t*.fits"))[:2]
    assert main(["inspect", str(images[0]), "--plot", str(tmp_path / "one.png")]) == 0
    assert main(["inspect", *map(str, images), "--plot", str(tmp_path / "both.png")]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["both-1.png", "both-2.png", "one.png"]
    capsys.readouterr()
    assert main(["inspect", str(images[0]), "--plot", str(tmp_path / "one.txt")]) == 1
    assert "the name of a figure must end with .png, .pdf, .svg" in capsys.readouterr().err


def test_part_that_is_not_searched_is_named_with_its_setting(good, tmp_path, capsys):
    settings = tmp_path / "trap.toml"
    settings.write_text("[source_extraction]\nextraction_radius_pix = 40\n")
    assert main(["inspect", str(good), "--config", str(settings)]) == 0
    # π 40² of 128² pixels are searched.
    expected = "69 % of the image was not searched: source_extraction.extraction_radius_pix"
    assert expected in capsys.readouterr().out
    assert main(["inspect", str(good)]) == 0
    assert "extraction_radius_pix" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("beam-1 mJy", 1e3, "unit converted to Jy/beam: × 0.001"),
        # 1280 MHz and the beam of the survey: 1 Jy/beam over 2 k ν² Ω / c².
        ("K", 0.0, "unit converted to Jy/beam through the beam and the frequency: × "),
        ("", 1.0, "unit not stated, taken as Jy/beam"),
    ],
)
def test_conversion_of_the_unit_is_described(good, tmp_path, capsys, unit, value, text):
    data, header = fits.getdata(good, header=True)
    if not value:
        solid_angle = np.pi * np.radians(header["BMAJ"]) * np.radians(header["BMIN"]) / (4 * np.log(2))
        value = 299_792_458**2 / (2 * 1.380649e-23 * 1.28e9**2 * solid_angle) * 1e-26
    header["BUNIT"] = unit
    fits.writeto(tmp_path / "other.fits", data.astype("f8") * value, header)
    assert main(["inspect", "-v", str(tmp_path / "other.fits")]) == 0
    assert text in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "other.fits"), str(good)]) == 0
    start = f"unit {unit} of 1 image" if unit else "unit of 1 image"
    assert f"{start}: {text.removesuffix(': × ').removeprefix('unit ')}" in capsys.readouterr().out
    assert main(["inspect", "--json", str(tmp_path / "other.fits"), str(good)]) == 0
    converted, original = json.loads(capsys.readouterr().out)
    assert converted["rms_qc"] == pytest.approx(original["rms_qc"], rel=1e-5)
    assert converted["jansky_per_unit"] == pytest.approx(1 / value)


def test_image_in_another_unit_is_refused_by_name(good, tmp_path, capsys):
    data, header = fits.getdata(good, header=True)
    header["BUNIT"] = "JY/BEAM.KM/S"
    fits.writeto(tmp_path / "moment.fits", data, header)
    assert main(["inspect", str(tmp_path / "moment.fits")]) == 3
    assert "BUNIT = 'JY/BEAM.KM/S': not a unit of the kind Jy/beam" in capsys.readouterr().out
