"""Blends and their parts, as TraP's method has them: a change in the number of components makes no new source."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources

from trap.association.entries import Descent
from trap.catalogues import AssociationType

FIELD = Field()
BEAM = 0.06
WEST, EAST = (123.0, 10.0), (123.0, 10.0 + 1.3 * BEAM)
SETTINGS = {
    "association": {"method": "trap", "deruiter_radius": 5.68, "beamwidths_limit": 3.0},
    "transient_search": {"new_source_test": "significance"},
}


def pair(flux=(0.05, 0.10)):
    """Two components of one island, 1.3 beams apart."""
    ra, dec = zip(WEST, EAST, strict=True)
    return sources(ra, dec, flux=flux, flux_err=1e-3, systematics=0.0).with_columns(island=[1, 1])


def one(flux=0.15, place=2 / 3):
    """One component, at their mean weighted by flux density."""
    dec = WEST[1] + place * (EAST[1] - WEST[1])
    return sources(WEST[0], dec, flux=flux, flux_err=1e-3, systematics=0.0).with_columns(island=[1])


def process(make_dataset, *days):
    dataset = make_dataset(**SETTINGS)
    for day, found in enumerate(days):
        dataset.process(FIELD.image(day, found))
    return dataset


def test_two_components_seen_as_one_and_as_two_again(make_dataset):
    dataset = process(make_dataset, pair(), one(), pair())
    south, blend, north = dataset.entries()
    assert [entry["is_blend"] for entry in (south, blend, north)] == [False, True, False]
    assert south["blend"] == north["blend"] == blend["id"]
    assert dataset.types() == [[4, 3], [AssociationType.BLEND], [4, 3]]
    assert dataset.requests == [0, 0, 0]
    assert dataset.column("SELECT MAX(eta_int) FROM varmetric") == [0.0]
    assert dataset.rows("SELECT * FROM newsource") == []


def test_one_component_seen_as_two_and_as_one_again(make_dataset):
    dataset = process(make_dataset, one(), pair(), one())
    assert dataset.types() == [[AssociationType.PART], [4, 3], [AssociationType.PART]]
    assert dataset.requests == [0, 0, 0]
    assert dataset.column("SELECT MAX(eta_int) FROM varmetric") == [0.0]
    assert dataset.rows("SELECT * FROM newsource") == []


def test_lineage_records_the_origin_of_parts_and_blends(make_dataset):
    for days, kind in (((pair(), one()), Descent.BLEND), ((one(), pair()), Descent.PART)):
        dataset = process(make_dataset, *days)
        south, blend, north = (entry["id"] for entry in dataset.entries())
        rows = dataset.rows(
            "SELECT l.* FROM lineage l JOIN timestep t ON t.id = l.timestep WHERE t.dataset = :dataset ORDER BY l.id"
        )
        pairs = {(row["runcat"], row["origin"]) for row in rows}
        expected = {(blend, south), (blend, north)} if kind == Descent.BLEND else {(south, blend), (north, blend)}
        assert (pairs, {row["kind"] for row in rows}) == (expected, {kind})


def test_lineage_keeps_a_forked_entry(make_dataset):
    dataset = make_dataset(association={"method": "trap"})
    dataset.process(FIELD.image(0, sources(123.1235, 10.55)))
    (parent,) = (entry["id"] for entry in dataset.entries())
    dataset.process(FIELD.image(1, sources([123.12349, 123.12351], [10.549, 10.551])))
    rows = dataset.rows("SELECT * FROM lineage")
    assert {(row["runcat"], row["origin"], row["kind"]) for row in rows} == {
        (entry["id"], parent, Descent.FORKED) for entry in dataset.entries()
    }


@pytest.mark.parametrize("days", [(pair(), one()), (one(), pair())])
def test_blends_survive_a_restart_of_the_dataset(make_dataset, days):
    dataset = process(make_dataset, *days)
    dataset.reload()
    dataset.process(FIELD.image(2, one()))
    dataset.process(FIELD.image(3, pair()))
    assert len(dataset.entries()) == 3
    assert dataset.requests == [0, 0, 0, 0]
    assert dataset.column("SELECT MAX(eta_int) FROM varmetric") == [0.0]


def test_transient_within_the_island_of_a_known_source_is_new(make_dataset):
    # The known source keeps its flux density: the second component is another source.
    dataset = process(make_dataset, one(0.05, place=0.0), one(0.05, place=0.0), pair())
    assert dataset.types() == [[4, 3, 3], [4]]
    assert dataset.column("SELECT COUNT(*) FROM newsource") == [1]


def test_source_that_fades_leaves_the_other_as_it_was(make_dataset):
    dataset = process(make_dataset, pair(), one(0.05, place=0.0))
    assert dataset.types() == [[4, 3], [4, 7]]


def test_blend_that_flares_varies_and_its_parts_do_not(make_dataset):
    dataset = process(make_dataset, pair(), one(), one(0.30), pair())
    eta = {
        row["is_blend"]: row["eta"]
        for row in dataset.rows(
            "SELECT r.is_blend, MAX(v.eta_int) AS eta FROM varmetric v JOIN runningcatalog r ON r.id = v.runcat"
            " GROUP BY r.is_blend"
        )
    }
    assert eta[True] > 1000
    assert eta[False] == 0


def test_components_of_unknown_islands_are_forks_as_in_trap(make_dataset):
    near = [10.0 + 1e-4, 10.0 - 1e-4]
    dataset = process(make_dataset, sources(123.0, 10.0, flux=0.15), sources(123.0, near, flux=[0.05, 0.10]))
    assert dataset.types() == [[6, 2], [6, 2]]


def test_bright_blend_need_not_be_described_exactly(make_dataset):
    # The sum of the fits is 2 % off, which is twenty times its error.
    dataset = process(make_dataset, pair((0.5, 1.0)), one(1.47))
    assert dataset.types() == [[4], [AssociationType.BLEND], [4]]


def test_variable_near_a_faint_source_is_no_blend(make_dataset):
    # 30 mJy more than before; the faint neighbour would explain 6.
    days = [pair((0.1, 0.006)), one(0.13, place=0.0)]
    assert process(make_dataset, *days).types() == [[4, 3], [4, 7]]


def test_no_sources_make_no_blends(make_dataset):
    dataset = process(make_dataset, pair(), pair().take(np.zeros(0, int)), pair())
    assert dataset.types() == [[4, 7, 3], [4, 7, 3]]


def negative(found):
    """Make sources of Stokes V, whose flux densities and islands are negative."""
    return found.with_columns(**{name: -getattr(found, name) for name in ("f_peak", "f_int", "island")})


def test_negative_components_are_a_blend_as_positive_ones_are(make_dataset):
    dataset = process(make_dataset, negative(pair()), negative(one()), negative(pair()))
    south, blend, north = dataset.entries()
    assert [entry["is_blend"] for entry in (south, blend, north)] == [False, True, False]
    assert dataset.types() == [[4, 3], [AssociationType.BLEND], [4, 3]]
    assert dataset.column("SELECT MAX(eta_int) FROM varmetric") == [0.0]


def test_positive_and_negative_islands_are_different_ones(make_dataset):
    # Two islands that both have the number 1, but for the sign: their sources are no components of one blend.
    both = pair().with_columns(island=[1, -1], f_int=[0.05, -0.10], f_peak=[0.05, -0.10])
    dataset = process(make_dataset, one(), both)
    assert all(AssociationType.PART not in types for types in dataset.types())


def scaled(found, gain):
    """Multiply flux densities by the flux scale of an image."""
    return found.with_columns(f_int=gain * found.f_int, f_peak=gain * found.f_peak)


@pytest.mark.parametrize("separation", [0.8, 1.3, 2.5])
@pytest.mark.parametrize("gain", [0.9, 0.94, 1.005, 1.06])
def test_faint_neighbour_that_falls_below_the_threshold_does_not_split_a_bright_source(make_dataset, separation, gain):
    # The bright source has S/N 1000 and differs by the flux scale of the image; the faint one is at 5.5 σ.
    both = sources(123.0, [10.0, 10.0 + separation * BEAM], flux=[1.0, 0.0055], flux_err=1e-3, systematics=0.0)
    both = both.with_columns(island=[1, 2])
    bright = scaled(both.take(slice(1)), gain)
    assert process(make_dataset, both, bright, both).types() == [[4, 3, 3], [4, 7, 3]]


@pytest.mark.parametrize("offset", [2.0, 3.0, 5.0])
def test_sources_farther_apart_than_the_beam_are_no_blend(make_dataset, offset):
    # The sum of their flux densities, at the weighted mean of their positions, but with peaks of their own.
    apart = sources(123.0, [10.0, 10.0 + offset * BEAM], flux=[0.05, 0.05], flux_err=1e-3, systematics=0.0)
    between = sources(123.0, 10.0 + offset * BEAM / 2, flux=0.10, flux_err=1e-3, systematics=0.0)
    settings = SETTINGS | {"association": SETTINGS["association"] | {"beamwidths_limit": 8.0}}
    dataset = make_dataset(**settings)
    for day, found in enumerate([apart.with_columns(island=[1, 2]), between.with_columns(island=[1])]):
        dataset.process(FIELD.image(day, found))
    assert not any(entry["is_blend"] for entry in dataset.entries())


@pytest.mark.parametrize("peak", [0.008, 0.010, 0.012])
def test_transient_that_stands_out_next_to_a_bright_source_is_new(make_dataset, peak):
    steady = one(0.1, place=0.0)
    pair_with_transient = pair((0.1, peak))
    assert process(make_dataset, steady, steady, pair_with_transient).types() == [[4, 3, 3], [4]]


@pytest.mark.parametrize("gain", [0.95, 1.0, 1.05])
def test_pair_is_a_blend_whatever_the_flux_scale(make_dataset, gain):
    dataset = process(make_dataset, pair(), scaled(one(), gain), scaled(pair(), gain))
    assert dataset.types() == [[4, 3], [AssociationType.BLEND], [4, 3]]


@pytest.mark.parametrize("flux", [0.05, 0.3])
def test_fluctuation_of_three_sigma_makes_no_blend(make_dataset, flux):
    # Below a thousand to one, the simpler hypothesis stands: one source, and a neighbour hidden by noise.
    found = [pair((flux, 0.0055)), one(flux + 0.003, place=0.0)]
    assert process(make_dataset, *found).types() == [[4, 3], [4, 7]]
