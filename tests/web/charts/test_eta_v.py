import json

import numpy as np
import pytest
from bokeh.models import ColumnDataSource

from trap.web.charts import eta_v
from trap.web.charts.eta_v import eta_v_chart
from trap.web.charts.plane import Plane

FIELDS = [("runcat", "i8"), ("eta", "f8"), ("v", "f8"), ("n", "i4"), ("stokes", "i2"), ("candidate", "?")]


@pytest.fixture(scope="module")
def plane():
    """Return 1,000 constant sources, a variable and a candidate far beyond the cuts, and a source with one point."""
    rng = np.random.default_rng(4)
    points = np.zeros(1003, FIELDS)
    points["runcat"], points["n"], points["stokes"] = np.arange(1003) + 1, 6, 1
    points["eta"][:1000], points["v"][:1000] = 10 ** rng.normal(0, 0.2, 1000), 10 ** rng.normal(-1, 0.1, 1000)
    points["eta"][1000:1002], points["v"][1000:1002] = 50.0, 1.5
    points["candidate"][1001] = True
    points["n"][1002] = 1
    return Plane(points={name: points[name] for name in points.dtype.names})


def test_sources_beyond_both_cuts_and_candidates_have_marks_of_their_own(plane, sources):
    numbers = [source.data["runcat"].tolist() for source in sources(eta_v_chart(plane))]
    assert numbers == [list(range(1, 1001)), [1001], [1002]]


def test_facts_and_sentences_count_all_sources(plane):
    chart = eta_v_chart(plane, sigma_eta=5.0, sigma_v=4.0)
    assert (chart.facts["sources"], chart.facts["shown"], chart.facts["beyond"]) == (1003, 1002, 2)
    # 5 × 0.2 and 4 × 0.1 above the means
    assert (chart.facts["eta"], chart.facts["v"]) == pytest.approx((10.0, 10**-0.6), rel=0.1)
    assert any(note.startswith("1 source with a single point") for note in chart.notes)


def test_many_sources_are_a_density_with_the_points_beyond_the_cuts(plane, sources, monkeypatch):
    monkeypatch.setattr(eta_v, "MANY", 500)
    chart = eta_v_chart(plane)
    assert [source.data["runcat"].tolist() for source in sources(chart)] == [[1001], [1002]]
    columns = [source.data for source in chart.model.select({"type": ColumnDataSource})]
    assert [data["sources"].sum() for data in columns if "sources" in data] == [1002]


def test_axes_contain_all_sources_and_the_cuts(plane):
    main = eta_v_chart(plane, sigma_eta=10.0).model.children[1].children[0]
    # 10 σ of 0.2 above a mean of 0: η = 100, above the highest one of 50.
    assert main.y_range.end > 90
    assert main.x_range.end > 1.5


@pytest.mark.parametrize("n", [0, 3])
def test_few_sources_have_no_cuts(plane, n):
    chart = eta_v_chart(Plane(points={name: values[:n] for name, values in plane.points.items()}))
    assert (chart.facts["eta"], chart.facts["beyond"]) == (None, 0)
    assert "too few" in chart.notes[0]
    assert json.loads(chart.encoded())["item"]


def test_chart_of_sources_with_a_single_point_is_empty_and_no_cause_of_warnings(plane, caplog):
    chart = eta_v_chart(Plane(points={name: values[1002:] for name, values in plane.points.items()}))
    assert json.loads(chart.encoded())["item"]
    assert chart.facts["shown"] == 0
    assert caplog.records == []
