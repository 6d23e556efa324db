import json

import numpy as np
import pytest

from trap.web.charts.series import counts_chart, noise_chart

HOSTILE = "<script>alert(1)</script>"


def images(rms, **columns):
    n = len(rms)
    found = {
        "id": np.arange(n) + 7,
        "taustart_ts": np.datetime64("2026-01-01", "us") + np.arange(n) * np.timedelta64(1, "h"),
        "rms_qc": np.asarray(rms, float),
        "band": np.ones(n, int),
        "stokes": np.ones(n, int),
        "freq_eff": np.full(n, 150e6),
        "reason": np.full(n, None, object),
    }
    return found | {name: np.asarray(values) for name, values in columns.items()}


def test_noise_is_in_microjansky_with_rejected_images_open(sources):
    chart = noise_chart(images([1e-4, 2e-4, np.nan], reason=np.array([None, HOSTILE, None], object)))
    columns = sources(chart)[0].data
    assert columns["y"].tolist() == pytest.approx([100.0, 200.0])
    assert columns["fill"].tolist() == [0.8, 0.0]
    assert columns["image"].tolist() == [7, 8]
    assert columns["state"].tolist() == ["accepted", HOSTILE]
    assert chart.notes == ("Open: the 1 rejected image.", "1 image without a measured noise.")


def test_bands_and_stokes_parameters_have_series_of_their_own(sources):
    chart = noise_chart(images([1e-4] * 3, band=[1, 2, 2], stokes=[1, 1, 4], freq_eff=[150e6, 60e6, 60e6]))
    labels = [item.label.value for item in chart.model.legend[0].items]
    assert labels == ["60 MHz, Stokes I", "60 MHz, Stokes V", "150 MHz, Stokes I"]


def test_dataset_without_images_has_a_chart():
    assert json.loads(noise_chart(images([])).encoded())["facts"] == {"points": 0}


def test_failed_timesteps_are_counted_and_not_drawn():
    names = ("n_measured", "n_forced_measured", "n_new_entries", "n_newsources", "n_rejected")
    steps = {name: np.array([5, 6]) for name in names} | {
        "state": np.array(["done", "failed"], object),
        "taustart_ts": np.array(["2026-01-01", "2026-01-02"], "M8[us]"),
    }
    chart = counts_chart(steps)
    assert chart.facts == {"points": 1}
    assert chart.notes == ("1 timestep failed, and holds no images.",)
