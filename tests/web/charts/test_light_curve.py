import numpy as np
import pytest

from trap.web.charts.curve_points import CurveOptions
from trap.web.charts.light_curve import light_curve_chart

BLIND, FORCED, MONITORED, JOINT = 0, 1, 2, 3


def ranges(chart):
    x, y = chart.model.x_range, chart.model.y_range
    return (x.start, x.end), (y.start, y.end)


@pytest.mark.parametrize("axis", ["linear", "log"])
def test_error_bars_and_limits_lie_inside_the_axes(points, axis):
    curve = points([0.010, 0.001, 0.020], [0.002, 0.010, 0.030], [BLIND, FORCED, BLIND])
    low, high = ranges(light_curve_chart(curve, CurveOptions(axis=axis)))[1]
    # The bar of the third point ends at 50 mJy; the limit of the second one is at 31 mJy, its arrow reaches 11 mJy.
    assert high > 50.0
    assert low < (-10.0 if axis == "linear" else 8.0)


def test_a_single_point_is_inside_the_axes(points):
    x, y = ranges(light_curve_chart(points([0.010], [0.0])))
    assert x[0] < 1767225900e3 < x[1]
    assert y[0] < 10.0 < y[1]


def test_kinds_have_marks_of_their_own(points, sources):
    curve = points([0.01] * 4 + [0.001], [0.001] * 5, [BLIND, FORCED, MONITORED, JOINT, FORCED])
    chart = light_curve_chart(curve)
    columns = sources(chart)[0].data
    marks = list(zip(columns["marker"], columns["fill"], strict=True))
    assert len(set(marks)) == 5
    assert marks[-1] == ("inverted_triangle", 0.0)
    assert len(chart.notes) == 5


def test_label_of_a_band_hides_its_points_limits_and_errors(points):
    curve = points(
        [0.01, 0.01, 0.001], [0.001] * 3, [BLIND, BLIND, FORCED], band=[1, 2, 2], freq_central=[150e6, 60e6, 60e6]
    )
    legend = light_curve_chart(curve).model.legend[0]
    assert legend.click_policy == "hide"
    assert [item.label.value for item in legend.items] == ["60 MHz", "150 MHz"]
    # Marks and bars; limits are marks of the same source.
    assert [len(item.renderers) for item in legend.items] == [2, 2]
    assert [len(item.renderers[0].data_source.data["x"]) for item in legend.items] == [2, 1]


def test_tap_selects_the_image_of_a_point(points, sources):
    assert sources(light_curve_chart(points([0.01, 0.02], [0.001] * 2)))[0].data["image"].tolist() == [100, 101]


def test_tooltips_show_the_correction_of_a_point(points, sources):
    curve = points([0.010, 0.010], [0.001] * 2, f_int_raw=[0.012, np.nan], gain_err=[0.05, 0.0])
    texts = sources(light_curve_chart(curve))[0].data["correction"].tolist()
    # 12 mJy over 10 mJy, with an error of 5 %.
    assert texts == ["divided by the gain 1.200 ± 0.060", "none"]


def test_tooltips_are_no_html(points):
    chart = light_curve_chart(points([0.01], [0.001]))
    hover = next(tool for tool in chart.model.tools if type(tool).__name__ == "HoverTool")
    assert not any("safe" in value for _, value in hover.tooltips)


def test_choice_without_points_is_a_sentence(points):
    chart = light_curve_chart(points([0.001], [0.001], [FORCED]), CurveOptions(limits=False))
    assert (chart.notes[0], chart.facts) == ("No point fits these choices.", {"points": 0})


def test_axes_name_units(points):
    chart = light_curve_chart(points([0.01], [0.001]), CurveOptions(flux="peak", calibrated="raw", time="days"))
    assert chart.model.yaxis.axis_label == "raw peak flux density (mJy/beam)"
    assert chart.model.xaxis.axis_label == "time since the first detection (days)"


def test_chart_is_json_without_scripts(points):
    text = light_curve_chart(points([0.01, np.nan], [0.001] * 2)).encoded().decode()
    assert "CustomJS" not in text
