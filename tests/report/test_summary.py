from __future__ import annotations

import numpy as np

from trap.config import PipelineConfig
from trap.report.summary import dataset_page, light_curve_text, limits_table, transients_table

TRANSIENTS = {
    "newsource": np.array([4, 9]),
    "runcat": np.array([7, 3]),
    "wm_ra": np.array([359.9999, 12.5]),
    "wm_decl": np.array([45.0, -30.25]),
    "taustart_ts": np.array(["2026-01-01T01:00:00", "2026-01-02T00:00:00"], "M8[us]"),
    "freq_eff": np.array([1.28e9, 0.8875e9]),
    "flags": np.array([0, 32]),
    "stokes": np.array([1, 1]),
    "f_int": np.array([5.98e-3, 1.2e-3]),
    "f_int_err": np.array([1.4e-4, 1.3e-4]),
    "det_sigma": np.array([57.8, 9.5]),
    "sigma_local": np.array([61.2, np.nan]),
    "n_looks": np.array([7, 0]),
    "newness": np.array([12.5, 3.75]),
    "noise_peaks": np.array([7.6e-4, np.nan]),
    "grade": np.array([1, None], object),
    "score": np.array([0.9985, np.nan]),
    "negative_ratio": np.array([0.9, np.nan]),
    "v_int": np.array([1.7, np.nan]),
    "eta_int": np.array([597.0, 22.0]),
    "metric_stokes": np.array([1, 1]),
}


def test_transients_keep_their_order():
    heading, first, second = transients_table(TRANSIENTS).splitlines()
    assert heading.split()[:7] == ["candidate", "ra,", "dec", "(deg)", "score", "grade", "noise"]
    assert (
        " ".join(first.split())
        == "4 359.9999 +45.0000 0.999 likely 1 in 1,300 12.5 57.8 2026-01-01T01:00:00 1280 I 5.98 0.14 7 1.7 597 7"
        " negative"
    )
    assert (
        " ".join(second.split())
        == "9 12.5000 -30.2500 – – – 3.75 9.5 2026-01-02T00:00:00 887.5 I 1.20 0.13 0 – 22 3 marginal point like"
    )


def test_no_transients_have_a_sentence():
    assert transients_table({name: column[:0] for name, column in TRANSIENTS.items()}) == "no transient candidates"


def test_light_curve_shows_the_kind_of_each_point():
    entry = {"id": 4, "wm_ra": 10.0, "wm_decl": 20.0, "distance_deg": 1 / 3600}
    points = {
        "taustart_ts": np.array(["2026-01-01T00:00:00"] * 3, "M8[us]"),
        "freq_eff": np.array([1.28e9, 15.756e9, 16.88e9]),
        "det_sigma": np.full(3, 9.0),
        "flags": np.zeros(3, int),
        "stokes": np.array([1, 4, -5]),
        "f_int": np.array([1e-3, 2e-4, np.nan]),
        "f_int_err": np.full(3, 1e-4),
        "extract_type": np.array([0, 1, 2]),
        "v_int": np.zeros(3),
        "eta_int": np.zeros(3),
    }
    heading, _, *lines = light_curve_text(entry, points, n_near=2).splitlines()
    assert heading == "entry 4 at 10.0000 +20.0000, 1 arcsec away; the nearest of 2"
    assert [line.split()[6] for line in lines] == ["blind", "forced", "monitored"]
    assert [line.split()[1] for line in lines] == ["1280", "15756", "16880"]
    assert [line.split()[3] for line in lines] == ["1.00", "0.20", "–"]
    assert [line.split()[2] for line in lines] == ["I", "V", "XX"]


def test_metrics_of_candidates_of_several_stokes_parameters_have_their_own():
    several = {**TRANSIENTS, "stokes": np.array([4, 1]), "metric_stokes": np.array([1, None], object)}
    heading, first, _ = transients_table(several).splitlines()
    assert "V, η of Stokes  entry" in heading
    assert first.split()[11:13] == ["1280", "V"]
    assert first.split()[-3:] == ["I", "7", "negative"]


def test_limits_have_their_stokes_parameter():
    columns = {
        "taustart_ts": np.array(["2026-01-01"] * 2, "M8[us]"),
        "freq_eff": np.full(2, 1.28e9),
        "stokes": np.array([1, 4]),
        "rms": np.full(2, 1e-3),
        "upper_limit": np.full(2, 5e-3),
        "image": np.array([1, 2]),
    }
    assert [line.split()[2] for line in limits_table(columns).splitlines()[1:]] == ["I", "V"]


def test_page_of_a_dataset_groups_images_by_reason_and_names_changed_settings():
    nothing = np.empty(0)
    config = PipelineConfig().with_options(source_extraction={"detection_threshold": 5.5})
    text = dataset_page(
        {
            **dict.fromkeys(("n_timesteps", "n_blind", "n_forced", "n_entries", "n_newsources", "n_likely"), 2),
            "n_dropped_unconfirmed": 0,
            "id": 1,
            "description": "field",
            "state": "partial",
            "n_failed": 1,
            "n_images": 5,
            "n_rejected": 3,
            **dict.fromkeys(("process_start_ts", "process_end_ts")),
        },
        config.science_items(),
        bands={"id": [1], "freq_central": [1.28e9]},
        timesteps={"taustart_ts": nothing, "state": nothing},
        images={"stokes": np.array([1]), "reason": [None, "beam invalid", "RMS invalid", "beam invalid", None]},
        unreadable={"url": ["a.fits"]},
        runs={"id": [1, 2], "state": ["failed", "partial"]},
        variables={
            **{name: np.array([7, 8, 9, 10]) for name in ("runcat", "eta_int")},
            **{name: np.full(4, 0.5) for name in ("wm_ra", "wm_decl", "v_int")},
        },
    )
    assert text.splitlines()[7:] == [
        "4 variable sources (probability of η below 0.0001); the most variable:",
        *(f"  entry {n} at 0.5000 +0.5000: V 0.5, η {n}" for n in (7, 8, 9)),
        "4 images left out:",
        "  2 beam invalid",
        "  1 RMS invalid",
        "  1 unreadable",
        "1 timestep failed",
        "2 runs, the latest partial",
        "settings that are not defaults:",
        "  source_extraction.detection_threshold = 5.5",
    ]
