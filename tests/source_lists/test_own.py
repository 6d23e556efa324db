"""Lists of our own finder are read back to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.source_lists.finder_lists import CENTRE, PIXEL, make_metadata
from trap.catalogues import ExtractType, Flag, Measurements
from trap.config import SourceListConfig
from trap.errors import SourceListError
from trap.report.columns import ExportTable, source_columns
from trap.report.formats import FORMATS
from trap.source_lists.read import read_source_list


def make_measurements(n=20, **changes):
    """Make measurements with digits in all places, and all kinds of flags and fits of our finder."""
    rng = np.random.default_rng(5)
    rms, signal = rng.uniform(1e-4, 2e-4, n), rng.uniform(6, 60, n)
    east, north = rng.uniform(-0.1, 0.1, (2, n))
    values = {
        "x": 250 - east / PIXEL,
        "y": 250 + north / PIXEL,
        "ra": (CENTRE[0] + east / np.cos(np.radians(CENTRE[1]))) % 360,
        "dec": CENTRE[1] + north,
        "ew_fit_err": rng.uniform(1e-5, 1e-4, n),
        "ns_fit_err": rng.uniform(1e-5, 1e-4, n),
        "ew_sys_err": 0.1,
        "ns_sys_err": rng.uniform(0.05, 0.1, n),
        "f_peak": rms * signal * rng.choice([-1, 1], n),
        "f_peak_err": rms / 3,
        "f_int": rms * signal * 1.1,
        "f_int_err": rms / 2,
        "rms": rms,
        "significance": signal,
        "semimajor": rng.uniform(6, 7, n),
        "semiminor": rng.uniform(4, 5, n),
        "pa": rng.uniform(0, 180, n),
        "chisq": rng.uniform(1, 9, n),
        "reduced_chisq": rng.uniform(0.5, 2, n),
        "fit_type": rng.integers(0, 2, n),
        "island": rng.integers(1, 9, n),
        "flags": rng.choice([0, int(Flag.FIT_FAILED), int(Flag.BLENDED | Flag.EDGE), int(Flag.POINT_LIKE)], n),
        "ra_raw": np.nan,
    }
    return Measurements.of(**(values | changes))


def read(tmp_path, content, **changes):
    path = tmp_path / "own"
    path.write_bytes(content)
    return read_source_list(str(path), SourceListConfig(**changes), make_metadata())


def as_table(measurements):
    return ExportTable(name="sources", columns=source_columns([measurements], ["é"] * len(measurements)))


@pytest.mark.parametrize("form", ["csv", "json", "votable", "fits"])
def test_our_sources_are_read_back_to_the_bit(tmp_path, form):
    measurements = make_measurements()

    found = read(tmp_path, FORMATS[form].encode(as_table(measurements)))

    assert found.finder == "transients"
    for name, values in measurements.as_dict().items():
        np.testing.assert_array_equal(found.measurements.as_dict()[name], values, err_msg=name)
    assert found.left_out == {"fit failed, by the finder": int((measurements.flags == 1).sum())}
    assert found.notices == ()


def test_printed_description_of_one_image_is_read(tmp_path):
    rows = json.loads(FORMATS["json"].encode(as_table(make_measurements())))

    found = read(tmp_path, json.dumps([{"image": "a.fits", "problem": None, "sources": rows}]).encode())

    assert found.finder == "transients"
    assert len(found.measurements) == len(rows)


def test_forced_fits_of_a_list_are_left_out(tmp_path):
    types = np.where(np.arange(20) < 3, int(ExtractType.NULL_DETECTION), int(ExtractType.BLIND))
    flux = np.where(np.arange(20) < 3, np.nan, 0.01)
    measurements = make_measurements(extract_type=types, f_int=flux)

    found = read(tmp_path, FORMATS["csv"].encode(as_table(measurements)))

    assert found.left_out["forced fits"] == 3
    np.testing.assert_array_equal(found.measurements.f_peak, measurements.f_peak[3:])


def exported(measurements, images):
    """Name the columns as the exported measurements of a dataset do."""
    names = {"dec": "decl", "ew_fit_err": "uncertainty_ew", "ns_fit_err": "uncertainty_ns", "significance": "det_sigma"}
    names |= {"x": "x_pix", "y": "y_pix"}
    left_out = ("ew_sys_err", "ns_sys_err")
    columns = {names.get(name, name): values for name, values in measurements.as_dict().items() if name not in left_out}
    columns |= {"xtrsrc": np.arange(len(measurements)), "image": np.broadcast_to(images, len(measurements))}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
    return json.dumps(rows).encode()


def test_exported_measurements_of_one_image_are_read(tmp_path):
    measurements = make_measurements()

    found = read(tmp_path, exported(measurements, 7)).measurements

    np.testing.assert_array_equal(found.dec, measurements.dec)
    np.testing.assert_array_equal(found.ew_fit_err, measurements.ew_fit_err)
    np.testing.assert_array_equal(found.x, measurements.x)
    assert found.fit_type.tolist() == measurements.fit_type.tolist()


def test_exported_measurements_of_two_images_are_refused(tmp_path):
    content = exported(make_measurements(), [7] * 12 + [8] * 8)

    with pytest.raises(SourceListError, match="row 1 is of image 7, and row 13 of image 8"):
        read(tmp_path, content)
