"""Groups of close sources: which images show them one-to-one, and which need a joint fit."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import sources

from trap.association.entries import LightCurveKey
from trap.association.groups import GroupLimits
from trap.association.hypotheses import ImageLimits
from trap.association.running_catalogue import RunningCatalogue
from trap.catalogues import Flag

KEY = LightCurveKey(0, 1)
ARCSEC = 1 / 3600
BEAM = 10 * ARCSEC
START = np.datetime64("2026-01-01T00:00:00", "us")


def found(*places, flux=1.0, flags=0, ratio=1.0):
    """Return measurements at offsets to the north [arcsec] along one meridian, and of the isolated source."""
    north, flux = np.array([*places, 360.0]), np.append(np.broadcast_to(flux, len(places)), 1.0)
    ratio = np.append(np.broadcast_to(ratio, len(places)), 1.0)
    measured = sources(30.0, 45.0 + north * ARCSEC, flux=flux, error_radius=0.1, systematics=0.0)
    flags = np.append(np.broadcast_to(flags, len(places)), 0)
    return measured.with_columns(f_int=flux * ratio, f_peak=flux, flags=flags, f_int_err=0.01, f_peak_err=0.01)


def associate(catalogue, measured, day, *, distance=1.5 * BEAM, expiration=10, band=0):
    """Associate one image, with errors of 1 % and groups."""
    time = START + np.timedelta64(day, "D")
    if band == 0:
        catalogue.begin_timestep()
    return catalogue.associate(
        measured,
        image=band,
        key=LightCurveKey(band, 1),
        taustart=time,
        search_radius=1.5 * BEAM,
        max_radius=5.68,
        limits=ImageLimits(BEAM, 5.0, 0.65 * BEAM, GroupLimits(distance, expiration, 5.0, 0.5 * BEAM)),
        method="one-to-one",
    )


@pytest.fixture
def catalogue():
    """A pair 10 arcsec apart and an isolated source, which one image has shown."""
    catalogue = RunningCatalogue()
    members = associate(catalogue, found(0, 10), 0).members
    assert len(members) == 0
    return catalogue


def shown(members):
    return [
        (m[0] if m[0] >= 0 else "new", m[1])
        for m in zip(members.entry.tolist(), members.measurement.tolist(), strict=True)
    ]


def test_image_that_shows_a_group_one_to_one_needs_no_joint_fit(catalogue):
    points, members = associate(catalogue, found(0, 10), 1)
    assert (len(members), sorted(points.entry)) == (0, [0, 1, 2])


def test_group_whose_member_is_missing_waits_with_all_its_members(catalogue):
    points, members = associate(catalogue, found(0.5), 1)
    assert shown(members) == [(0, 0), (1, -1)]
    assert list(points.entry) == [2]
    # The position of the blend moves no entry.
    assert catalogue.entries["wm_dec"][0] == pytest.approx(45.0, abs=1e-9)


def test_pair_that_one_band_parts_is_a_group_in_the_next_band_of_the_same_time():
    catalogue = RunningCatalogue()
    associate(catalogue, found(0, 10), 0)
    points, members = associate(catalogue, found(5, flux=2.0), 0, band=1)
    # The blend, twice as bright as either, is a point of neither light curve.
    assert (sorted(members.entry), list(points.entry)) == ([0, 1], [2])


def test_component_next_to_an_entry_is_a_trial_and_no_entry(catalogue):
    points, members = associate(catalogue, found(0, 10, 22), 1)
    assert shown(members) == [("new", 2), (0, 0), (1, 1)]
    assert (len(catalogue), list(points.entry)) == (3, [2])
    assert members.dec[members.is_new] == pytest.approx(45 + 22 * ARCSEC)


def test_distant_component_is_a_new_entry_at_once(catalogue):
    points, members = associate(catalogue, found(0, 10, 40), 1)
    assert (len(members), len(catalogue), len(points)) == (0, 4, 4)


def test_no_groups_without_a_distance(catalogue):
    points, members = associate(catalogue, found(0.5, 22), 1, distance=0.0)
    assert (len(members), len(points)) == (0, 3)


def test_member_that_has_gone_is_not_expected(catalogue):
    catalogue.count_forced_fits(np.array([1]), np.array([], int))
    _, members = associate(catalogue, found(0), 1, expiration=1)
    assert len(members) == 0
    # It is a member again as soon as an image shows it.
    _, members = associate(catalogue, found(0, 10, 22), 2, expiration=1)
    assert shown(members) == [("new", 2), (0, 0), (1, 1)]


def test_blend_of_free_shape_is_measured_again(catalogue):
    _, members = associate(catalogue, found(0, 10, ratio=(1.8, 0.9)), 1)
    assert shown(members) == [(0, 0), (1, 1)]


def test_beam_at_a_wider_entry_is_measured_again_once_its_extent_is_known(catalogue):
    wide = RunningCatalogue()
    for day in range(4):
        assert len(associate(wide, found(0, ratio=1.5), day).members) == 0
    _, members = associate(wide, found(0, flags=int(Flag.POINT_LIKE)), 4)
    assert shown(members) == [(0, 0)]
    # One wide measurement is no extent: noise distorts the shapes of single measurements.
    narrow = RunningCatalogue()
    associate(narrow, found(0, ratio=1.5), 0)
    assert len(associate(narrow, found(0, flags=int(Flag.POINT_LIKE)), 1).members) == 0


def test_source_hidden_in_a_measurement_lies_where_the_excess_comes_from(catalogue):
    # 2 Jy at 8 arcsec with 1 Jy at 0 are 3 Jy at 16/3 arcsec.
    single = RunningCatalogue()
    associate(single, found(0), 0)
    _, members = associate(single, found(16 / 3, flux=3.0), 1)
    assert shown(members) == [("new", 0), (0, 0)]
    assert members.dec[0] == pytest.approx(45 + 8 * ARCSEC, abs=1e-6)
    assert members.stretch[0] == pytest.approx(1.5)
    assert list(members.is_blind) == [False, True]


@pytest.mark.parametrize(("place", "flux"), [(0.0, 3.0), (16 / 3, 1.0)])
def test_source_that_only_brightens_or_only_moves_hides_none(place, flux):
    single = RunningCatalogue()
    associate(single, found(0), 0)
    assert len(associate(single, found(place, flux=flux), 1).members) == 0


def test_missing_member_explains_an_excess(catalogue):
    _, members = associate(catalogue, found(5.5, flux=2.0), 1)
    assert not members.is_new.any()
    assert len(members) == 2


def test_components_that_no_beam_can_part_are_a_group_without_an_entry():
    first = RunningCatalogue()
    points, members = associate(first, found(0, 4, 30), 0)
    assert shown(members) == [("new", 0), ("new", 1)]
    assert (len(first), len(points)) == (2, 2)
    assert len(associate(RunningCatalogue(), found(0, 6, 30), 0).members) == 0


def test_free_shape_of_a_single_source_like_the_beam_is_measured_again_unless_its_peak_changed():
    single = RunningCatalogue()
    for day in range(4):
        assert len(associate(single, found(0), day).members) == 0
    assert shown(associate(single, found(0, ratio=2.0), 4).members) == [(0, 0)]
    assert len(associate(single, found(0, flux=2.0, ratio=2.0), 5).members) == 0
