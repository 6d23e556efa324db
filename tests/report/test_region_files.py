from __future__ import annotations

import io

import numpy as np
import pytest
from regions import Regions

from trap.angles import delta_ra
from trap.errors import ConfigError
from trap.report.region_files import has_regions, region_label, write_crtf, write_ds9
from trap.report.table_stream import TableStream
from trap.tables import Column

WRITERS = {"ds9": write_ds9, "crtf": write_crtf}
MEASURED = {
    "ra": np.array([10.0, -0.25, 359.9999999999, 20.0]),
    "decl": np.array([-0.5, 45.5, 89.0, 10.0]),
    "semimajor": np.array([6.0, 5.0, 5.0, 5.0]),
    "semiminor": np.array([5.0, 4.0, 3.0, 5.0]),
    "pa": np.array([10.0, 100.0, -20.0, 0.0]),
    "f_int": np.array([1.0, 2.0, 3.0, np.nan]),
    "xtrsrc": np.array([7, 8, 9, 10]),
}


def read(form, values, *, n_chunks=1):
    n = len(next(iter(values.values())))
    chunks = [{name: part[i::n_chunks] for name, part in values.items()} for i in range(n_chunks)]
    columns = {name: Column(part.dtype, "", "") for name, part in values.items()}
    file = io.BytesIO()
    WRITERS[form](TableStream(name="sources", columns=columns, chunks=chunks if n else [], n_rows=n), file)
    return Regions.parse(file.getvalue().decode(), format=form)


def labels(regions):
    return [str(one.meta.get("text", one.meta.get("label"))) for one in regions]


@pytest.mark.parametrize("form", WRITERS)
def test_measurements_are_ellipses_at_half_maximum(form):
    regions = read(form, MEASURED)
    # The last one has no flux density.
    assert labels(regions) == ["7", "8", "9"]
    for i, region in enumerate(regions):
        assert delta_ra(region.center.icrs.ra.deg, MEASURED["ra"][i]) == pytest.approx(0, abs=1e-6)
        assert region.center.icrs.dec.deg == pytest.approx(MEASURED["decl"][i], abs=1e-6)
        axes = sorted([region.width.to_value("arcsec"), region.height.to_value("arcsec")])
        assert axes == pytest.approx([2 * MEASURED["semiminor"][i], 2 * MEASURED["semimajor"][i]], abs=1e-3)
        # The angle of the width, from the west through the north; the position angle is from the north to the east.
        is_wide = region.width > region.height
        position_angle = region.angle.to_value("deg") - (90 if is_wide else 0)
        assert (position_angle - MEASURED["pa"][i]) % 180 == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("form", WRITERS)
def test_sources_are_circles_of_their_error_and_images_of_their_field(form):
    sources = {
        "runcat": np.array([3, 4]),
        "name": np.array(["", "GRB"], object),
        "wm_ra": np.array([1.0, 2.0]),
        "wm_decl": np.array([3.0, 4.0]),
        "wm_uncertainty_ew": np.array([1.0, 2.0]) / 3600,
        "wm_uncertainty_ns": np.array([2.0, 1.0]) / 3600,
    }
    regions = read(form, sources)
    assert labels(regions) == ["3", "GRB"]
    assert [one.radius.to_value("arcsec") for one in regions] == pytest.approx([6.0, 6.0])
    images = {name: np.array([12.0]) for name in ("centre_ra", "centre_decl")}
    (field,) = read(form, {**images, "xtr_radius": np.array([1.5]), "image": np.array([5])})
    assert field.radius.to_value("deg") == pytest.approx(1.5)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    "label", ["a{b}", "x; circle(1,2,3)", "it's", '"q"', "a # b", "a=b, c", "é\n\x1b[31m", "[1]", "|| -x", "text={y"]
)
def test_hostile_label_remains_one_label(form, label):
    values = {name: part[:1] for name, part in MEASURED.items()}
    (region,) = read(form, {**values, "name": np.array([label], object)})
    assert labels([region]) == [region_label(label)]


@pytest.mark.parametrize("form", WRITERS)
def test_chunks_are_one_file_and_no_rows_are_no_regions(form):
    assert sorted(labels(read(form, MEASURED, n_chunks=3))) == ["7", "8", "9"]
    assert len(read(form, {name: part[:0] for name, part in MEASURED.items()})) == 0


def test_labels_without_a_name_or_a_number_are_places_in_the_table():
    plain = {"dec" if name == "decl" else name: part for name, part in MEASURED.items() if name != "xtrsrc"}
    assert labels(read("ds9", plain)) == ["1", "2", "3"]


def test_table_without_positions_is_refused():
    assert not has_regions(["band", "area"])
    with pytest.raises(ConfigError, match="table of sources: its rows have no positions"):
        read("ds9", {"band": np.array([1])})
