from __future__ import annotations

import numpy as np
import pytest

from trap.report.candidates import Candidate, candidate_lines
from trap.report.plots import LightCurve
from trap.signs import Signs

FACTS = {
    "newness": 9.0, "wm_ra": 12.5, "wm_decl": -30.0, "taustart_ts": np.datetime64("2026-01-01T00:00:00", "us"),
    "freq_central": 1.4e9, "stokes": 1, "metric_stokes": 1, "f_int": 0.02, "f_int_err": 0.001, "f_peak": 0.02,
    "f_peak_err": 0.001, "det_sigma": 20.0, "sigma_local": 20.0, "sigma_rms_max": 15.0, "sigma_rms_min": 21.0,
    "n_looks": 3, "n_measured": 2, "grade": 1,
    "noise_peaks": 1e-5, "eta_int": 1.0, "v_int": 0.1, "flags": 0, "url": "a.fits",
}  # fmt: skip


@pytest.fixture
def curve():
    return LightCurve.of_points(
        "12.5 -30",
        {
            "taustart_ts": np.array(["2026-01-01"], "M8[us]"), "f_int": np.array([0.02]),
            "f_int_err": np.array([0.001]), "freq_eff": np.array([1.4e9]), "band": np.array([1]),
            "stokes": np.array([1]), "extract_type": np.array([0]), "type": np.array([4]),
            "freq_central": np.array([1.4e9]), "rms": np.array([0.001]),
        },
    )  # fmt: skip


def lines_of(curve, **signs):
    return dict(candidate_lines(Candidate(facts={**FACTS, **signs}, curve=curve, earlier="")))


def test_page_has_the_score_the_names_and_the_numbers_of_the_signs(curve):
    signs = dict.fromkeys(Signs.columns(), np.nan)
    signs |= {"score": 0.0064, "ring_sigma": 2.5, "bright_ratio": 200.0, "bright_distance": 60.0, "n_in_image": 3.0}
    lines = lines_of(curve, **signs)
    assert (lines["score"], lines["signs of artefacts"]) == ("0.0064", "ring")
    assert lines["over the rms of its ring"] == "2.5 σ"
    assert lines["bright source"] == "200 times as bright, 60 beams away"
    assert lines["candidates in the image"] == "3"
    assert lines["absent from another band"] == "– σ"


@pytest.mark.parametrize("signs", [{}, {"score": np.nan}])
def test_page_of_a_candidate_without_a_score_has_no_numbers_of_signs(curve, signs):
    lines = lines_of(curve, **signs)
    assert (lines["score"], lines["signs of artefacts"]) == ("–", "none")
    assert "bright source" not in lines
