"""What must not matter: where on the sky, in which order of rows, in how many runs.

A crowded patch, in which sources tangle and vanish, and fork and blend by TraP's method, is measured several times in
two bands. Each test measures it once more in another way, and asks for the same light curves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_up_survey import Field, sources

from trap import angles
from trap.catalogues import AssociationType, ExtractType
from trap.config import PipelineConfig
from trap.dataset.records import StoredIds, TimestepRecord
from trap.dataset.state import DatasetState
from trap.steps import association, forced_fitting, joint_photometry, varmetric

N_DAYS = 6
FREQUENCIES = (120e6, 160e6)
CONFIG = PipelineConfig().with_options(source_extraction={"extraction_radius_pix": 900.0, "expiration": 3})
ERROR_ARCSEC = 15.0
EXAMPLES = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])

seeds = st.integers(0, 2**32 - 1)
methods = st.sampled_from(["one-to-one", "trap"])


def crowded_patch(seed):
    """Offsets east and north [deg], flux densities and islands of what is found, for each day and band.

    ``chisq`` numbers the measurements, so that they are known again after they were moved.
    """
    rng = np.random.default_rng(seed)
    places, flux = rng.uniform(-0.2, 0.2, (14, 2)), rng.uniform(0.01, 0.1, 14)
    # Two pairs, a little more than a beam apart, which are now and then seen as one.
    places[[1, 3]] = places[[0, 2]] + [0.05, 0.05]
    flux[:4] += 0.1
    images, number = [], 0
    for _ in range(N_DAYS * len(FREQUENCIES)):
        seen = np.flatnonzero(rng.random(14) < 0.8)
        blended = [pair for pair in ((0, 1), (2, 3)) if rng.random() < 0.4]
        alone = seen[~np.isin(seen, blended)]
        shown = np.vstack([places[alone], *(flux[[*p]] @ places[[*p]] / flux[[*p]].sum() for p in blended)])
        near = np.hypot(shown[:, None, 0] - shown[:, 0], shown[:, None, 1] - shown[:, 1]) < 0.08
        east, north = (shown + rng.normal(0, ERROR_ARCSEC / 3600, shown.shape)).T
        brightness = np.concatenate([flux[alone], [flux[[*pair]].sum() for pair in blended]])
        images.append(
            {
                "east": east,
                "north": north,
                "flux": brightness * rng.uniform(0.99, 1.01, len(shown)),
                "island": 1 + near.argmax(axis=1),
                "number": number + np.arange(len(shown)),
            }
        )
        number += len(shown)
    return images


def images_at(patch, centre):
    """The images of each day, with the patch around a place on the sky."""
    field = Field(centre=centre, radius=2.0)
    made = []
    for i, found in enumerate(patch):
        ra, dec = angles.move(np.full(len(found["east"]), centre[0]), centre[1], found["east"], found["north"])
        table = sources(ra, dec, flux=found["flux"], flux_err=2e-3, error_radius=ERROR_ARCSEC, systematics=0.0)
        table = table.with_columns(island=found["island"], chisq=found["number"])
        made.append(field.image(i // len(FREQUENCIES), table, freq=FREQUENCIES[i % len(FREQUENCIES)]))
    return [made[i : i + len(FREQUENCIES)] for i in range(0, len(made), len(FREQUENCIES))]


def forced(asked):
    # Null detections have no flux density; joint fits have some, which confirms bright components.
    flux = np.where(asked.kind == ExtractType.JOINT, 1e-2, 1e-4)
    return sources(asked.ra, asked.dec, flux=flux, error_radius=ERROR_ARCSEC).with_columns(extract_type=asked.kind)


def confirmed(image, asked):
    """Drop the components that joint fits do not confirm."""
    refused = joint_photometry.refused_components(image, asked, forced(asked), 5.0)
    stays = np.append(~refused, np.ones(len(asked) - len(refused), bool))
    return joint_photometry.without_components(image, refused), asked.take(stays)


def associate(days, method):
    """Take days through association, in memory; returns the survey, and the tables of each day."""
    state, tables = DatasetState(config=CONFIG.with_options(association={"method": method})), []
    for images in days:
        records = association.associate_extracted_sources(state, images)
        asked = [forced_fitting.get_forced_fit_requests(image, state) for image in records]
        records, asked = zip(*(confirmed(*one) for one in zip(records, asked, strict=True)), strict=True)
        records = joint_photometry.create_confirmed(state, records)
        records = forced_fitting.insert_and_associate_forced_fits(state, records, asked, [forced(a) for a in asked])
        changes = state.catalogue.changes
        record = TimestepRecord(
            taustart_ts=images[0].metadata.taustart_ts,
            images=records,
            unreadable=(),
            changes=changes,
            links=state.region_links(records),
            metrics=varmetric.summarise_touched(state, records),
        )
        ids = np.arange(changes.n_before + 1, len(state.catalogue) + 1)
        n_images = len(images) * (len(tables) + 1)
        state.commit(
            record,
            StoredIds(
                images=tuple(range(n_images - len(images) + 1, n_images + 1)),
                entries=ids,
                bands=tuple(range(len(state.bands))),
                regions=tuple(range(len(state.regions))),
            ),
        )
        tables.append(record)
    return state, tables


def everything(state, tables):
    """All numbers that association makes, to the last bit."""
    catalogue = state.catalogue
    parts = [record.metrics for record in tables]
    for image in (image for record in tables for image in record.images):
        parts += [image.measurements, image.associations, image.new_sources]
    fluxes = [catalogue.fluxes(key).tobytes() for key in catalogue.light_curves]
    return catalogue.entries.tobytes(), fluxes, [c.tobytes() for part in parts for c in part.as_dict().values()]


def light_curves(state, tables):
    """Of each entry the points (what, type) in order, and its metrics; entries in an order of their own."""
    points, forks = {}, {}
    for record in tables:
        forks |= {fork.clone: fork.parent for fork in record.changes.forks}
        for image in record.images:
            n_blind = len(image.measurements) - len(image.forced)
            blind = image.associations.take(image.associations.measurement < n_blind)
            numbers = image.measurements.chisq[blind.measurement].astype(int)
            for entry, number, kind in zip(blind.entry.tolist(), numbers.tolist(), blind.type.tolist(), strict=True):
                points.setdefault(entry, []).append((number, kind))
            shown = image.members.take(image.members.measurement >= 0)
            for entry, number in zip(shown.entry, image.measurements.chisq[shown.measurement], strict=True):
                points.setdefault(int(entry), []).append((int(number), int(AssociationType.JOINT)))
    catalogue, found = state.catalogue, []
    for entry in np.flatnonzero(catalogue.entries["active"]).tolist():
        line, ancestor = list(points[entry]), entry
        while ancestor in forks:
            ancestor = forks[ancestor]
            line = points.get(ancestor, []) + line
        curves = [catalogue.fluxes(key)[entry] for key in catalogue.light_curves]
        numbers = [curve[name] for curve in curves for name in ("n", "mean_f_int", "m2_f_int", "wm2_f_int", "vs_f_int")]
        found.append((line, numbers))
    return sorted(found, key=lambda pair: pair[0])


def assert_same_light_curves(one, other):
    ours, theirs = light_curves(*one), light_curves(*other)
    assert [line for line, _ in ours] == [line for line, _ in theirs]
    assert [numbers for _, numbers in ours] == [pytest.approx(numbers, rel=1e-9, abs=1e-15) for _, numbers in theirs]


@EXAMPLES
@given(seeds, methods, st.floats(0, 360), st.floats(-90, 90))
def test_light_curves_are_the_same_everywhere_on_the_sky(seed, method, ra, dec):
    patch = crowded_patch(seed)
    here, there = (
        associate(images_at(patch, (123.0, 10.0)), method),
        associate(images_at(patch, (float(angles.wrap_ra(ra)), dec)), method),
    )
    assert_same_light_curves(here, there)


@EXAMPLES
@given(seeds, methods, st.sampled_from([0.0, 90.0, 180.0, 270.0, 360.0]), st.floats(-0.2, 0.2))
def test_light_curves_are_the_same_across_the_quarters_of_right_ascension(seed, method, quarter, shift):
    patch = crowded_patch(seed)
    here, there = (
        associate(images_at(patch, (123.0, 10.0)), method),
        associate(images_at(patch, (float(angles.wrap_ra(quarter + shift)), 10.0)), method),
    )
    assert_same_light_curves(here, there)


@EXAMPLES
@given(seeds, methods, st.randoms(use_true_random=False))
def test_order_of_rows_changes_no_bit(seed, method, random):
    days = images_at(crowded_patch(seed), (0.0, 60.0))
    shuffled = []
    for images in days:
        shuffled.append([])
        for image in images:
            order = list(range(len(image.measurements)))
            random.shuffle(order)
            shuffled[-1].append(replace(image, measurements=image.measurements.take(np.array(order, int))))
    assert everything(*associate(days, method)) == everything(*associate(shuffled, method))


POINTS = """
SELECT i.taustart_ts, i.freq_eff, e.ra, e.decl, e.f_int, e.extract_type, a.type, a.r, a.distance_arcsec, a.v_int,
       a.eta_int, a.f_datapoints, r.wm_ra, r.wm_decl, r.datapoints, r.weight_ew, r.is_blend,
       v.v_int AS v, v.eta_int AS eta, v.eta_p_value, v.modulation, v.vs_max, v.spectral_index
FROM assocxtrsource a JOIN runningcatalog r ON r.id = a.runcat JOIN extractedsource e ON e.id = a.xtrsrc
JOIN image i ON i.id = e.image LEFT JOIN varmetric v ON v.runcat = r.id WHERE r.dataset = :dataset ORDER BY a.id
"""


@settings(EXAMPLES, max_examples=5)
@example(seed=6706, method="trap", stops={2})  # a blend forks, and its parts with it
@given(seed=seeds, method=methods, stops=st.sets(st.integers(0, N_DAYS - 2)))
def test_dataset_extended_in_several_runs_is_that_of_one_run_to_the_last_bit(make_dataset, seed, method, stops):
    days = images_at(crowded_patch(seed), (0.0, 60.0))
    options = {"association": {"method": method, "deruiter_radius": 5.68, "beamwidths_limit": 3.0}}
    unbroken, broken = make_dataset(**options), make_dataset(**options)
    for number, images in enumerate(days):
        for dataset in (unbroken, broken):
            dataset.process(*images, forced=forced)
        if number in stops:
            broken.reload()
    assert unbroken.rows(POINTS) == broken.rows(POINTS)
