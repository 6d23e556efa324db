"""Joint fits of crowded groups: which components they confirm, and which blind measurements they replace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import PIXEL, Field, sources

from trap.association.entries import LightCurveKey
from trap.association.groups import NO_ROW, GroupMembers
from trap.catalogues import Associations, ExtractType, FitRequests, NewSources
from trap.config import PipelineConfig
from trap.dataset.records import ImageRecord
from trap.dataset.state import DatasetState
from trap.steps.association import associate_extracted_sources
from trap.steps.forced_fitting import get_forced_fit_requests
from trap.steps.joint_photometry import (
    create_confirmed,
    group_limits,
    refused_components,
    scaled_to_extent,
    without_components,
    without_members,
)

KEY = LightCurveKey(0, 1)
FIELD = Field((30.0, 45.0))
WIDTH = 2 * 2.3 * PIXEL
"""deg — the width of the beam along its minor axis, which is the shortest."""


def record(*, north, peak, joint_peak=None, joint_error=1.0, blind_error=1.0, stretch=1.0):
    """Return an image with a known entry at the centre and a component to the north of it, and their joint fits."""
    blind = sources(30.0, [45.0, 45.0 + north], flux=[50.0, peak], flux_err=[1.0, blind_error])
    members = GroupMembers.of(
        group=[0, 0], entry=[0, NO_ROW], measurement=[0, 1], is_new=[False, True], is_blind=[True, False],
        ra=30.0, dec=[45.0, 45.0 + north], stretch=[1.0, stretch],
    )  # fmt: skip
    image = ImageRecord(
        result=FIELD.image(0, blind), key=KEY, region=0, measurements=blind, associations=Associations.empty(),
        new_sources=NewSources.empty(), forced=FitRequests.empty(), members=members,
    )  # fmt: skip
    requests = FitRequests.of(ra=30.0, dec=[45.0, 45.0 + north], kind=int(ExtractType.JOINT), target=[0, NO_ROW])
    fits = sources(30.0, [45.0, 45.0 + north], flux=[50.0, peak if joint_peak is None else joint_peak])
    return image, requests, fits.with_columns(f_peak_err=joint_error)


@pytest.mark.parametrize(
    ("case", "is_refused"),
    [
        ({}, False),
        ({"joint_peak": 4.9}, True),
        ({"joint_peak": -10.0}, True),
        ({"joint_peak": np.nan}, True),
        ({"joint_error": 2.1}, True),
        ({"blind_error": 2.1}, True),
        ({"peak": -10.0}, False),
        ({"peak": -10.0, "joint_peak": 10.0}, True),
        ({"north": 0.3 * WIDTH}, True),
        ({"north": 0.55 * WIDTH * 1.2}, False),
        ({"north": 0.55 * WIDTH * 0.95, "stretch": 2.0}, True),
        ({"north": 0.75 * WIDTH, "stretch": 2.0}, False),
    ],
)
def test_component_is_confirmed_by_its_joint_and_its_blind_fit(case, is_refused):
    image, requests, fits = record(**{"north": WIDTH, "peak": 10.0, **case})
    assert refused_components(image, requests, fits, 5.0).tolist() == [False, is_refused]


def test_refused_components_are_counted_and_hidden_ones_are_not():
    image, *_ = record(north=WIDTH, peak=10.0)
    left = without_components(image, np.array([False, True]))
    assert (left.members.entry.tolist(), left.dropped) == ([0], {"n_dropped_unconfirmed": 1})
    hidden, *_ = record(north=WIDTH, peak=10.0, stretch=2.0)
    left = without_components(hidden, np.array([False, True]))
    assert (left.members.is_blind.tolist(), left.dropped) == ([True], {})
    # With a confirmed source hidden in it, the measurement is no point.
    assert not without_components(hidden, np.array([False, False])).members.is_blind.any()


def test_confirmed_component_is_one_entry_for_all_images_of_a_time():
    state = DatasetState(PipelineConfig())
    image, *_ = record(north=WIDTH, peak=10.0)
    state.catalogue.create(image.measurements.take(slice(1)), np.datetime64("2012-01-01"))
    state.catalogue.begin_timestep()
    first, second = create_confirmed(state, [image, image])
    assert len(state.catalogue) == 2
    assert first.members.entry.tolist() == second.members.entry.tolist() == [0, 1]
    assert (first.members.is_new.tolist(), second.members.is_new.tolist()) == ([False, True], [False, False])
    assert [tuple(kin) for kin in state.catalogue.changes.lineage] == [(1, 0, 3)]


def test_image_of_nothing_but_two_parts_of_one_source_has_one_entry():
    state = DatasetState(PipelineConfig())
    blind = sources(30.0, [45.0, 45.0 + 0.3 * WIDTH], flux=[50.0, 40.0], systematics=1.0)
    (image,) = associate_extracted_sources(state, [FIELD.image(0, blind)])
    assert len(state.catalogue) == 0
    requests = get_forced_fit_requests(image, state)
    refused = refused_components(image, requests, blind, 5.0)
    assert refused.tolist() == [False, True]
    create_confirmed(state, [without_components(image, refused)])
    assert len(state.catalogue) == 1


def test_component_without_an_entry_hides_no_entry_that_is_missed():
    state = DatasetState(PipelineConfig())
    here = sources(30.0, [45.0, 46.0], flux=50.0, systematics=1.0)
    associate_extracted_sources(state, [FIELD.image(0, here)])
    beside = sources(30.0, [45.0, 45.0 + WIDTH], flux=50.0, systematics=1.0)
    (image,) = associate_extracted_sources(state, [FIELD.image(1, beside)])
    requests = get_forced_fit_requests(image, state)
    # The known member, the component and the source that the image does not show, which is the last entry.
    assert sorted(requests.target.tolist()) == [NO_ROW, 0, 1]


def test_position_of_a_hidden_source_has_the_error_of_the_difference():
    state = DatasetState(PipelineConfig())
    image, *_ = record(north=WIDTH, peak=10.0, stretch=3.0)
    state.catalogue.create(image.measurements.take(slice(1)), np.datetime64("2012-01-01"))
    state.catalogue.begin_timestep()
    create_confirmed(state, [image])
    entry = state.catalogue.entries[1]
    # Ten arcsec of the fit, three times, and the 20 of the systematic error.
    assert entry["weight_ns"] ** -0.5 * 3600 == pytest.approx(np.hypot(30, 20))


def test_blind_components_near_members_are_left_out_of_the_model():
    neighbours = sources(30.0, [45.0, 45.0 + 0.9 * WIDTH, 45.0 + 1.1 * WIDTH])
    requests = FitRequests.of(ra=30.0, dec=45.0, kind=[int(ExtractType.JOINT)], target=0)
    assert without_members(neighbours, requests, WIDTH).dec.tolist() == [45.0 + 1.1 * WIDTH]
    single = requests.with_columns(kind=np.array([int(ExtractType.NULL_DETECTION)]))
    assert len(without_members(neighbours, single, WIDTH)) == 3


def test_integrated_flux_density_of_a_joint_fit_has_the_extent_of_its_entry():
    state = DatasetState(PipelineConfig())
    image, _, fits = record(north=WIDTH, peak=10.0)
    wide = sources(30.0, 45.0, flux=50.0, flux_err=0.5).with_columns(f_int=[75.0], f_int_err=[0.5])
    state.catalogue.create(wide, np.datetime64("2012-01-01"))
    for _ in range(4):
        state.catalogue.add_null_detections(np.array([0]), wide, np.array([0]), KEY)
    image = without_components(image, np.array([False, True]))
    joint = replace(image, members=image.members.with_columns(is_blind=np.array([False])))
    scaled = scaled_to_extent(joint, fits, state)
    assert scaled.f_int.tolist() == [75.0, 10.0]
    assert scaled.f_int_err[0] == pytest.approx(np.hypot(1.5 * fits.f_int_err[0], 0.05 * 75))


@pytest.mark.parametrize("settings", [{"method": "trap"}, {"joint_beams": 0.0}])
def test_settings_may_make_no_groups(settings):
    config = PipelineConfig().with_options(association=settings)
    metadata = FIELD.image(0, sources(30.0, 45.0)).metadata
    assert group_limits(metadata, config) is None
    limits = group_limits(metadata, PipelineConfig())
    assert limits.distance == pytest.approx(1.5 * metadata.beam.bmaj)


def test_of_components_without_an_entry_the_brightest_is_kept():
    image, requests, fits = record(north=0.3 * WIDTH, peak=60.0, blind_error=30.0)
    image = replace(image, members=image.members.with_columns(is_new=np.array([True, True])))
    assert refused_components(image, requests, fits, 5.0).tolist() == [True, False]
