"""The examples by hand of the method's pages on association, new sources and variability, by the code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_survey import sources

from trap.association.entries import LightCurveKey
from trap.association.hypotheses import ODDS, ImageLimits, KnownEntries, measured_as_one
from trap.association.new_sources import significance_of_newness
from trap.association.pairs import CandidatePairs, Positions, de_ruiter_radius
from trap.association.running_catalogue import RunningCatalogue
from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.metrics import (
    add_points,
    eta_p_value,
    modulation_index,
    modulation_v,
    spectral_index,
    weighted_eta,
)
from trap.variability.shared_errors import SharedErrors

PAGES = Path(__file__).parents[2] / "docs" / "method"
KEY = LightCurveKey(0, 1)
START = np.datetime64("2026-01-01T00:00:00", "us")
ARCSEC = 1 / 3600


def says(text, page="association"):
    return text in (PAGES / f"{page}.md").read_text(encoding="utf-8")


def associate(catalogue, found, day, method="one-to-one"):
    return catalogue.associate(
        found,
        image=0,
        key=KEY,
        taustart=START + np.timedelta64(day, "D"),
        search_radius=0.02,
        max_radius=5.68,
        limits=ImageLimits(resolution=24 * ARCSEC, threshold=5.0),
        method=method,
    ).points


def test_de_ruiter_radius_and_mean_position():
    def positions(ra, dec, ew, ns):
        return Positions.of(ra=[ra], dec=[dec], uncertainty_ew=ew * ARCSEC, uncertainty_ns=ns * ARCSEC)

    (r,) = de_ruiter_radius(positions(30.001, 45.0005, 3, 4), positions(30.0, 45.0, 2, 2))
    assert r == pytest.approx(0.8127, abs=5e-5)
    assert says("r = 0.8127")
    catalogue = RunningCatalogue()
    associate(catalogue, sources(30.0, 45.0, error_radius=2.0, systematics=0.0), 0)
    found = sources(30.001, 45.0005, systematics=0.0).with_columns(ew_fit_err=[3 * ARCSEC], ns_fit_err=[4 * ARCSEC])
    associate(catalogue, found, 1)
    (entry,) = catalogue.entries
    east = (entry["wm_ra"] - 30) * 3600 * np.cos(np.radians(45))
    assert (east, (entry["wm_dec"] - 45) * 3600) == pytest.approx((0.7833, 0.36), abs=5e-5)
    errors = entry["weight_ew"] ** -0.5 * 3600, entry["weight_ns"] ** -0.5 * 3600
    assert errors == pytest.approx((1.6641, 1.7889), abs=5e-5)
    assert says("0.7833″")
    assert says("1.6641''")


def test_metrics_of_the_light_curve():
    curve = np.zeros(1, FLUX_STATISTICS)
    for flux, error in ((10, 1), (12, 1), (17, 2)):
        add_points(curve, np.array([0]), {q: ([flux], [error]) for q in ("f_peak", "f_int")})
    assert modulation_v(curve)[0] == pytest.approx(13**-0.5)
    assert weighted_eta(curve)[0] == pytest.approx(5.0)
    assert eta_p_value(curve)[0] == pytest.approx(np.exp(-5))
    index, error = modulation_index(curve)
    assert (index[0], error[0]) == pytest.approx((np.sqrt(11) / 13, 0.0656), abs=5e-5)
    assert (curve["vs_f_int"][0], curve["m_f_int"][0]) == pytest.approx((6 / 4.5**0.5, 6 / 14))
    assert says("F = 0.2551", "variability")
    assert says(r"V_\mathrm{s} = 6/\sqrt{4.5} = 2.8284", "variability")


def test_two_sources_seen_as_one_are_a_blend():
    catalogue = RunningCatalogue()
    pair = sources(30.0, [0.0, 30 * ARCSEC], flux=[0.010, 0.020], flux_err=5e-4, error_radius=1.0, systematics=0.0)
    associate(catalogue, pair.with_columns(island=[1, 1]), 0, method="trap")
    seen = sources(30.0, 20.5 * ARCSEC, flux=0.029, flux_err=1e-3, error_radius=1.0, systematics=0.0)
    points = associate(catalogue, seen.with_columns(island=[1]), 1, method="trap")
    assert (points.type.tolist(), points.entry.tolist()) == ([11], [2])
    assert catalogue.entries["blend"].tolist() == [2, 2, -1]
    limits = ImageLimits(resolution=24 * ARCSEC, threshold=5.0)
    known = KnownEntries(catalogue.entries[:2], catalogue.fluxes(KEY)[:2], (), 5.68, limits)
    together = measured_as_one(seen, np.array([0]))
    assert sum(together.chi_squared(known.as_one(np.array([0, 1])))) == pytest.approx(0.4383, abs=5e-5)
    assert says(r"\chi^2 = 0.25/1.5556 + 1/(1.5 + 1.45^2)$, which is 0.4383")


def test_flux_densities_decide_ac10d():
    catalogue = RunningCatalogue()
    associate(catalogue, sources(30.0, [0.0, 30 * ARCSEC], flux=[3.2, 3.0], flux_err=0.1), 0)
    found = sources(30.0, [10 * ARCSEC, 20 * ARCSEC], flux=[2.9, 3.3], flux_err=0.1)
    limits = ImageLimits(resolution=24 * ARCSEC, threshold=5.0)
    known = KnownEntries(catalogue.entries, catalogue.fluxes(KEY), (), 5.68, limits)
    pairs = CandidatePairs.of(
        entry=[0, 1, 0, 1], measurement=[1, 0, 0, 1], de_ruiter_radius=0.0, distance=0.0, east=0.0, north=0.0
    )
    of_fluxes = known.of_fluxes(pairs, found)
    assert of_fluxes.reshape(2, 2).sum(axis=1) == pytest.approx([0.46, 4.10], abs=5e-3)
    assert says("$F$ sums to 0.46 instead of 4.10")
    assert pytest.approx(13.8, abs=0.05) == ODDS
    assert says(r"-2 \ln 0.001 = 13.8")


def test_significance_of_a_new_source():
    (significance,) = significance_of_newness([9.0], [1.0], threshold=5.0, rms=[1.0], n_looks=[1.0])
    assert significance == pytest.approx(3.08, abs=5e-3)
    assert says("the newness is 3.08 σ", "transients")


def test_epochs_that_share_errors():
    freedom, scale = SharedErrors(lags=np.array([0.5])).freedom(np.array([4]))
    assert (freedom[0], scale[0], freedom[0] + 1) == pytest.approx((2.1892, 1.0278, 3.19), abs=5e-3)
    assert freedom[0] * scale[0] == pytest.approx(2.25)
    assert freedom[0] * scale[0] ** 2 == pytest.approx(2.3125)
    assert says(r"\nu = 2.1892$ and $c = 1.0278$: they count as 3.19", "variability")


def test_spectral_index():
    index, error = spectral_index(np.array([1e9, 2e9]), np.array([[10.0], [5.0]]), np.array([[1.0], [0.5]]))
    assert (index[0], error[0]) == pytest.approx((-1.0, np.hypot(0.1, 0.1) / np.log(2)))
    assert says("0.2040", "variability")
