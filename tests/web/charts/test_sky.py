import json

import numpy as np
import pytest

from trap.web.charts.sky import Projection, sky_chart

NOWHERE = np.zeros(0, [("runcat", "i8"), ("ra", "f8"), ("dec", "f8")])


def positions(ra, dec):
    found = np.zeros(len(ra), NOWHERE.dtype)
    found["runcat"], found["ra"], found["dec"] = np.arange(len(ra)) + 1, ra, dec
    return found


def images(ra, dec, radius, n=0, size=np.nan):
    m = len(ra)
    columns = {"centre_ra": ra, "centre_decl": dec, "xtr_radius": [radius] * m, "nx": [n] * m, "ny": [n] * m}
    return {name: np.array(values, float) for name, values in columns.items()} | {
        name: np.full(m, size) for name in ("deltax", "deltay")
    }


def test_field_projection_keeps_distances_from_the_centre():
    east, north = Projection(ra=10.0, dec=60.0, is_field=True)(
        np.array([10.0, 10.0, 190.0]), np.array([60.0, 70.0, 85.0])
    )
    # Over the pole, declination 85 is 5 + 30 degrees away.
    assert east == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
    assert north == pytest.approx([0.0, 10.0, 35.0])


def test_field_across_ra_zero_is_one_piece():
    x, _ = Projection(ra=0.0, dec=0.0, is_field=True)(np.array([359.0, 1.0]), np.zeros(2))
    assert x == pytest.approx([-1.0, 1.0])


def test_sky_projection_has_the_edges_of_hammer():
    x, y = Projection(ra=0.0, dec=0.0, is_field=False)(np.array([0.0, 179.9999999, 0.0]), np.array([0.0, 0.0, 90.0]))
    # The ellipse has half axes of 2 √2 and √2; east is left.
    assert x == pytest.approx([0.0, -(8**0.5), 0.0], abs=1e-5)
    assert y == pytest.approx([0.0, 0.0, 2**0.5], abs=1e-5)


def outlines(chart):
    """Return the places of the outlines, which are the only lines on the map of a field."""
    lines = next(one for one in chart.model.renderers if type(one.glyph).__name__ == "MultiLine").data_source.data
    return np.array(lines["xs"]), np.array(lines["ys"])


def test_searched_area_is_a_circle_cut_by_the_edges_of_the_image():
    x, y = outlines(sky_chart(positions([0.0], [0.0]), NOWHERE, images([0.0], [0.0], 1.2, n=200, size=0.01)))
    # An image of 2 × 2 degrees: 1 degree from the middle to an edge, less than 1.2 degrees to a corner.
    assert np.abs(x).max() == pytest.approx(1.0, abs=0.01)
    assert np.hypot(x, y).max() == pytest.approx(1.2, abs=0.01)


def test_image_of_unknown_size_has_its_circle():
    x, y = outlines(sky_chart(NOWHERE, NOWHERE, images([200.0], [80.0], 2.0)))
    assert np.hypot(x, y) == pytest.approx(np.full(x.shape, 2.0), abs=0.01)


def test_candidates_are_marked_and_images_are_drawn_once(sources):
    chart = sky_chart(positions([10.0, 10.5], [5.0, 5.0]), positions([10.5], [5.0]), images([10.0] * 3, [5.0] * 3, 1.0))
    assert [len(source.data["x"]) for source in sources(chart)] == [2, 1]
    assert len(outlines(chart)[0]) == 1


def test_many_sources_are_a_density(sources):
    rng = np.random.default_rng(5)
    chart = sky_chart(positions(rng.uniform(0, 360, 6000), rng.uniform(-80, 20, 6000)), NOWHERE, images([], [], 1.0))
    assert sources(chart) == []
    assert chart.facts == {"sources": 6000, "candidates": 0}
    assert json.loads(chart.encoded())["item"]


def test_empty_dataset_has_a_map():
    assert json.loads(sky_chart(NOWHERE, NOWHERE, images([], [], 1.0)).encoded())["item"]
