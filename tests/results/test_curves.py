"""Light curves, upper limits and cut-outs, compared with the values that were put in."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.timeseries import TimeSeries
from astropy.wcs import WCS
from processed_survey import process_survey

from trap.errors import ConfigError, TrapError
from trap.results import open_dataset


def test_light_curve_has_the_measured_values(opened, steady):
    curve = opened.light_curve(steady)
    assert isinstance(curve, TimeSeries)
    assert curve["f_int"].to_value("mJy").tolist() == [1e3, 1e4, 2e3, 2e4, 3e3, 3e4]
    assert curve["freq_central"].to_value("MHz").tolist() == [140, 180] * 3
    assert curve["kind"].tolist() == ["detection"] * 6
    assert not curve["is_limit"].any()
    # Images of 300 s from midnight; one of 301.5 s.
    middles = [f"2012-01-0{day}T00:02:30.000" for day in (1, 1, 2, 2)]
    assert curve.time.isot.tolist() == [*middles, "2012-01-03T00:02:30.750", "2012-01-03T00:02:30.000"]
    assert curve["taustart_ts"].isot.tolist()[-1] == "2012-01-03T00:00:00"
    assert curve["f_int"].info.meta["ucd"].startswith("phot.flux.density")
    assert curve.meta["entry"] == steady
    assert curve.meta["dataset"] == opened.number


def test_light_curve_of_a_band_and_a_stokes_parameter(opened, steady):
    for band in (140, 140.0, 0.14 * units.GHz, [140 * units.MHz]):
        assert opened.light_curve(steady, band=band)["f_int"].value.tolist() == [1, 2, 3]
    assert len(opened.light_curve(steady, stokes="I")) == 6
    assert len(opened.light_curve(steady, stokes="V")) == 0


def test_forced_fits_and_limits_are_told_from_detections(opened, transient):
    curve = opened.light_curve(transient, band=140)
    assert curve["kind"].tolist() == ["detection", "forced"]
    assert curve["is_limit"].tolist() == [False, True]
    # A fit of 1 mJy with an error of 0.5 mJy: the limit is 1 + 3 · 0.5 mJy.
    assert curve["upper_limit"].to_value("mJy") == pytest.approx([np.nan, 2.5], nan_ok=True)
    assert curve.detections["f_int"].value.tolist() == [0.7]
    assert curve.limits["upper_limit"].to_value("mJy") == pytest.approx([2.5])
    monitored = opened.light_curve(name="GRB 260101A")
    assert set(monitored["kind"]) == {"monitored"}


def test_upper_limits_of_a_position_without_a_source(pictures):
    images = pictures.images()
    limits = pictures.upper_limits(0.0, 45.0)
    assert limits["image"].tolist() == images["image"].tolist()
    assert limits["upper_limit"].unit == units.Jy / units.beam
    threshold = pictures.settings.source_extraction.detection_threshold
    assert (limits["upper_limit"] / limits["rms"]).value == pytest.approx(threshold)
    assert ((limits["rms"] >= images["rms_min"]) & (limits["rms"] <= images["rms_max"])).all()
    half = (images["tau_time"] / 2).to_value("s")
    assert (limits.time - limits["taustart_ts"]).to_value("s") == pytest.approx(half)
    assert len(pictures.upper_limits(0.0, 45.0, band=1280)) == len(images)
    assert len(pictures.upper_limits(0.0, 45.0, band=150)) == 0
    assert len(pictures.upper_limits(0.0, 45.0, stokes="V")) == 0
    assert len(pictures.upper_limits(180.0, -45.0)) == 0
    entry = pictures.sources(limit=1)[0]
    assert pictures.upper_limits(entry).meta["ra"] == pytest.approx(entry["wm_ra"].value)


def test_cutout_has_the_pixels_of_the_file_with_projection_and_unit(pictures):
    bright = pictures.sources(order="-lightcurve_max", limit=1)[0]
    point = pictures.light_curve(bright).detections[0]
    cutout = pictures.cutout(bright, point, size=21)
    assert isinstance(cutout, Cutout2D)
    with fits.open(cutout.meta["url"]) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy names the cards that it understands in its own way
        pixels, wcs = hdus[0].data.squeeze(), WCS(hdus[0].header).celestial
    x, y = wcs.all_world2pix(bright["wm_ra"].value, bright["wm_decl"].value, 0)
    column, row = round(float(x)), round(float(y))
    assert cutout.data.tolist() == pixels[row - 10 : row + 11, column - 10 : column + 11].tolist()
    sky = cutout.wcs.pixel_to_world(10, 10)
    assert sky.separation(wcs.pixel_to_world(column, row)).arcsec < 1e-6
    assert cutout.unit == units.Jy / units.beam
    # The middle of the source is within half a pixel of its peak.
    assert cutout.quantity[10, 10].to_value() == pytest.approx(point["f_peak"].value, rel=0.2)
    assert cutout.position_cutout == (10, 10)


def test_cutout_is_written_as_fits(pictures, tmp_path):
    cutout = pictures.cutout(pictures.sources(limit=1)[0], 1)
    cutout.hdu.writeto(tmp_path / "cutout.fits")
    with fits.open(tmp_path / "cutout.fits") as hdus:
        header = hdus[0].header
        np.testing.assert_array_equal(hdus[0].data, cutout.data)
    assert (header["BUNIT"], header["RESTFRQ"]) == ("JY/BEAM", 1.28e9)
    assert header["BMAJ"] > 0
    assert WCS(header).pixel_to_world(3, 4).separation(cutout.wcs.pixel_to_world(3, 4)).arcsec < 1e-3


def test_each_point_has_a_cutout(pictures):
    entry = pictures.sources(limit=1)[0]
    curve = pictures.light_curve(entry)
    cutouts = pictures.cutouts(entry)
    assert [cutout.meta["image"] for cutout in cutouts] == curve["image"].tolist()
    assert cutouts.missing == ()
    assert len(pictures.cutouts(entry, limit=2)) == 2
    assert len(pictures.cutouts(name="GRB 260101A")) == 4
    assert "detection" in cutouts[0].title
    assert repr(cutouts[0]).startswith("<SourceCutout ")


def test_impossible_cutouts_are_refused(pictures):
    cases = [
        (lambda: pictures.cutout(1, 999), "has no image 999"),
        (lambda: pictures.cutout((180.0, -45.0), 1), "image 1: .*does not cover the position"),
        (lambda: pictures.cutout(1, 1, size=0), "size must be a whole number from 1"),
        (lambda: pictures.cutouts(1, limit=0), "limit must be a whole number from 1"),
        (lambda: pictures.cutout(1, "first"), "image must be a number"),
    ]
    for call, message in cases:
        with pytest.raises(TrapError, match=message):
            call()


def test_pixels_are_read_from_kept_files_or_missed_by_name(tmp_path, capsys):
    dataset = open_dataset(process_survey(tmp_path, n_timesteps=2, keep_pixels="images"))
    entry = dataset.sources(limit=1)[0]
    of_files = dataset.cutouts(entry)
    capsys.readouterr()
    for path in Path(tmp_path / "images").glob("*.fits"):
        path.unlink()
    kept = dataset.cutouts(entry)
    assert "warning" not in capsys.readouterr().out
    for one, other in zip(kept, of_files, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    for path in Path(f"{tmp_path}/trap.db.pixels").rglob("*.fits"):
        path.unlink()
    with pytest.raises(TrapError, match=r"no image of this source can be read, and no pixels of it are kept: image 1"):
        dataset.cutouts(entry)


def test_unknown_stokes_letter_is_refused(opened, steady):
    with pytest.raises(ConfigError, match="stokes W: no Stokes parameter"):
        opened.light_curve(steady, stokes="W")
