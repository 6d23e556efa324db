"""Known sources that turn out to be blends: when their light curves end, and what their parts begin with."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import PIXEL, Field, sources

from trap.association.entries import LightCurveKey
from trap.association.groups import NO_ROW, GroupMembers
from trap.catalogues import Associations, FitRequests, NewSources
from trap.config import PipelineConfig
from trap.dataset.records import ImageRecord
from trap.dataset.state import DatasetState
from trap.steps.backward_fitting import EarlierFits
from trap.steps.joint_photometry import create_confirmed
from trap.steps.parting import blended_members, displaced_members, end_blends

KEY = LightCurveKey(0, 1)
FIELD = Field((30.0, 45.0))
WIDTH = 2 * 2.5 * PIXEL
BLEND, PART, HEIR = 0, 1, 2
"""Rows of the running catalogue: the known source, its new part, and the entry that follows it."""


def parted(*, north=WIDTH, moved=0.0, stretch=1.0):
    """Return a state with a known source, and an image that shows it and a new part of it."""
    blind = sources(30.0, [45.0 + moved, 45.0 + north], flux=[50.0, 20.0], flux_err=1.0, systematics=0.0)
    members = GroupMembers.of(
        group=[0, 0], entry=[0, NO_ROW], measurement=[0, 1], is_new=[False, True], is_blind=False,
        ra=30.0, dec=[45.0, 45.0 + north], stretch=[1.0, stretch],
    )  # fmt: skip
    image = ImageRecord(
        result=FIELD.image(0, blind), key=KEY, region=0, measurements=blind, associations=Associations.empty(),
        new_sources=NewSources.empty(), forced=FitRequests.empty(), members=members,
    )  # fmt: skip
    state = DatasetState(PipelineConfig())
    state.catalogue.create(sources(30.0, 45.0, systematics=0.0), np.datetime64("2012-01-01"))
    state.catalogue.begin_timestep()
    return state, *create_confirmed(state, [image])


def earlier(flux, key=KEY):
    """Return the fits in four earlier images, with an error of 1."""
    fits = sources(30.0, [45.0, 45.0 + WIDTH], flux=[50.0, flux], flux_err=1.0)
    return [EarlierFits(image, key, np.array([BLEND, PART]), np.array([False, True]), fits) for image in range(4)]


@pytest.mark.parametrize(
    ("north", "flux", "ends"),
    [
        (WIDTH, 20.0, True),  # a quarter of 20 σ is in the light curve of the blend
        (2 * WIDTH, 20.0, False),  # 2⁻⁸ of it
        (WIDTH, 1.4, False),  # 2.8 σ of the mean: not shown
        (WIDTH, -20.0, False),  # no part of a positive source
        (WIDTH, 6.0, False),  # shown, at less than a third of 20 σ: something else, or a new source
        (WIDTH, 7.0, True),
    ],
)
def test_blend_ends_if_earlier_images_show_its_part_and_it_has_its_flux(north, flux, ends):
    state, image = parted(north=north)
    found = earlier(flux)
    (after,), fits = end_blends(state, [image], found, {})
    assert bool(state.catalogue.entries["is_blend"][BLEND]) == ends
    assert bool(blended_members([image], found, {})) == ends
    if ends:
        assert after.members.entry.tolist() == [HEIR, PART]
        assert after.members.is_new.all()
        assert after.members.is_blind.all()
        assert state.catalogue.entries["wm_dec"][HEIR] == 45.0
        assert [tuple(kin) for kin in state.catalogue.changes.lineage] == [(HEIR, BLEND, 1), (PART, BLEND, 1)]
        assert [(fit.target.tolist(), fit.is_new.tolist()) for fit in fits] == [([HEIR, PART], [True, True])] * 4
    else:
        assert after is image
        assert [fit.target.tolist() for fit in fits] == [[BLEND, PART]] * 4


def test_faint_part_ends_a_blend_that_is_not_where_its_entry_is():
    # Ten arcsec of error on both sides; 45 arcsec are 3.2 of their errors.
    state, image = parted(north=2 * WIDTH, moved=45 / 3600)
    places = displaced_members(state, [image])
    assert places == {BLEND: (30.0, 45.0 + 45 / 3600)}
    end_blends(state, [image], earlier(20.0), places)
    assert state.catalogue.entries["is_blend"][BLEND]
    state, image = parted(north=2 * WIDTH, moved=40 / 3600)
    assert displaced_members(state, [image]) == {}


def test_other_bands_do_not_show_the_part():
    state, image = parted()
    end_blends(state, [image], earlier(20.0, LightCurveKey(1, 1)), {})
    assert not state.catalogue.entries["is_blend"].any()


def test_source_hidden_in_a_measurement_ends_nothing():
    state, image = parted(stretch=2.0, moved=45 / 3600)
    assert displaced_members(state, [image]) == {}
    end_blends(state, [image], earlier(20.0), {})
    assert not state.catalogue.entries["is_blend"].any()


def test_blend_that_ended_is_neither_matched_nor_missed():
    state, image = parted()
    end_blends(state, [image], earlier(20.0), {})
    _, rows = state.catalogue.near([30.0], [45.0], 0.5 * WIDTH)
    assert rows.tolist() == [HEIR]
    missed = state.catalogue.null_detections(
        FIELD.image(1).metadata.sky_region(900.0), taustart=np.datetime64("2030-01-01"), associated=[], expiration=10
    )
    assert BLEND not in missed
