"""Theoretical noise of LOFAR; the figures are TraP's own, but for one term of its formula that is mended."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from check_inputs import image_input

from trap.images.metadata import LofarStations
from trap.quality.lofar import check_noise, check_tau_time, station_area, theoretical_noise


def stations(antenna_set="HBA", ncore=40, nremote=10, nintl=0, bandwidth=2e6):
    return LofarStations(
        antenna_set=antenna_set, ncore=ncore, nremote=nremote, nintl=nintl, subbands=10, subbandwidth=bandwidth / 10
    )


# In units of the weight of a pair of core stations, with remote SEFDs half of theirs and international ones a quarter:
# pairs weigh 1 (cc), 4 (rr; 2 in TraP), 16 (ii), 2 (cr), 4 (ci), 8 (ri).
MENDED_TWO_KINDS = math.sqrt((780 + 45 * 2 + 400 * 2) / (780 + 45 * 4 + 400 * 2))
MENDED_THREE_KINDS = math.sqrt((780 + 90 + 160 + 800 + 800 + 400) / (780 + 180 + 160 + 800 + 800 + 400))


@pytest.mark.parametrize(
    ("freq", "tau", "made_of", "expected", "tolerance"),
    [
        (66308593.75, 18654.3, stations("LBA_INNER", 23, 8, bandwidth=2e5), 0.01590154516819521, 1e-7),
        (60e6, 1000, stations("LBA", 20, 0, bandwidth=1e6), 0.0278081, 1e-6),
        (150e6, 3600, stations("HBA_DUAL"), 4.28897e-4 * MENDED_TWO_KINDS, 1e-8),
        (150e6, 3600, stations("HBA", nintl=5), 3.18412e-4 * MENDED_THREE_KINDS, 1e-8),
    ],
)
def test_theoretical_noise_is_traps_with_the_remote_term_mended(freq, tau, made_of, expected, tolerance):
    assert theoretical_noise(freq, tau, made_of) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("mhz", "areas"),
    [
        (120, (600, 1200, 2400)),
        (150, (512, 1024, 2048)),
        (180, (356, 711, 1422)),
        (200, (288, 576, 1152)),
        (210, (261, 522, 1045)),
        (240, (200, 400, 800)),
    ],
)
def test_areas_of_high_band_stations_agree_with_published_ones(mhz, areas):
    for kind, area in zip(("core", "remote", "international"), areas, strict=True):
        assert station_area(kind, mhz * 1e6, "HBA_DUAL") == pytest.approx(area, abs=3)


@pytest.mark.parametrize(
    ("freq", "made_of"),
    [
        (310e6, stations()),
        (60e6, stations("LBA_SPARSE_EVEN")),
        (150e6, stations(ncore=1, nremote=0)),
        (150e6, stations(bandwidth=0)),
    ],
)
def test_where_there_is_no_theory_every_noise_passes(freq, made_of):
    assert theoretical_noise(freq, 3600, made_of) is None
    assert check_noise(image_input(rms=1e9, freq_eff=freq, tau_time=3600, lofar=made_of)).passed


@pytest.mark.parametrize(("ratio", "passes"), [(0.99, False), (1.01, True), (79, True), (81, False), (math.nan, False)])
def test_noise_far_from_theory_does_not_pass(ratio, passes):
    noise = ratio * theoretical_noise(150e6, 3600, stations())
    verdict = check_noise(image_input(rms=noise, freq_eff=150e6, tau_time=3600.0, lofar=stations()))
    assert verdict.passed is passes
    assert "times the theoretical noise 0.000417787 Jy/beam" in verdict.comment


def test_longer_observations_are_deeper():
    once, four_times = (theoretical_noise(150e6, tau, stations()) for tau in (100, 400))
    assert once == pytest.approx(2 * four_times)
    assert theoretical_noise(150e6, 100, replace(stations(), subbands=40)) == pytest.approx(once / 2)


def test_unknown_duration_does_not_pass():
    assert check_tau_time(image_input(tau_time=0.0)).comment == "tau_time is 0"
    assert check_tau_time(image_input(tau_time=1.0)).passed
