"""Forced fits: requests, fits, and what becomes of them."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from made_up_survey import NOTHING, Field, sources

from trap.catalogues import ExtractType, FitRequests, Flag, Measurements, MonitorPositions
from trap.dataset.state import DatasetState
from trap.errors import ImageError
from trap.extraction.measure import extract_sources
from trap.steps import association, forced_fitting

FIELD = Field()


def requests(ra, dec, kind=ExtractType.NULL_DETECTION):
    return FitRequests.of(ra=ra, dec=dec, kind=kind, target=np.arange(len(ra)))


def test_rejected_image_asks_for_nothing(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    from trap.quality import Rejection, RejectReason  # noqa: PLC0415

    dataset.process(FIELD.image(1).rejected(Rejection(reason=RejectReason.RMS, comment="")))
    assert dataset.requests == [0, 0]


def test_null_detections_come_before_monitored_positions(config):
    state = DatasetState(config=config)
    state.monitors = MonitorPositions.of(ra=[123.5], dec=[10.0], name="m")
    state.monitor_entries = np.array([-1])
    association.associate_extracted_sources(state, [FIELD.image(0, sources(123.0, 10.0))])
    (image,) = association.associate_extracted_sources(state, [FIELD.image(1)])
    asked = forced_fitting.get_forced_fit_requests(image, state)
    assert list(asked.kind) == [ExtractType.NULL_DETECTION, ExtractType.MONITORED]
    assert list(asked.ra) == [123.0, 123.5]
    assert list(asked.target) == [0, 0]


def test_fits_have_a_row_per_request_and_a_flag_where_there_is_no_sky(image, config):
    extraction = extract_sources(image, config.source_extraction)
    found = extraction.measurements.take(extraction.measurements.flags & Flag.OUTSIDE == 0)
    brightest = int(np.argmax(found.f_peak))
    asked = requests([found.ra[brightest], found.ra[brightest]], [found.dec[brightest], -60.0])
    fits = forced_fitting.perform_forced_fits(
        asked, image.url, config.source_extraction, background=extraction.background, neighbours=NOTHING
    )
    assert fits.f_peak[0] == pytest.approx(found.f_peak[brightest], rel=0.05)
    assert np.isnan(fits.f_peak[1])
    assert fits.flags[1] & Flag.OUTSIDE
    assert list(fits.extract_type) == [ExtractType.NULL_DETECTION] * 2


def test_fits_in_a_file_that_was_replaced_by_another_time_are_refused(image, config):
    extraction = extract_sources(image, config.source_extraction)
    start = image.metadata.taustart_ts
    settings = {"background": extraction.background, "neighbours": NOTHING}
    asked = requests(extraction.measurements.ra[:1], extraction.measurements.dec[:1])
    fits = forced_fitting.perform_forced_fits(asked, image.url, config.source_extraction, start=start, **settings)
    assert len(fits) == 1
    earlier = start - timedelta(seconds=10)
    with pytest.raises(ImageError, match=f"held an image of {re.escape(earlier.isoformat())}, now one of"):
        forced_fitting.perform_forced_fits(asked, image.url, config.source_extraction, start=earlier, **settings)


def test_fit_of_a_source_does_not_depend_on_a_monitored_position_beside_it(image, config):
    extraction = extract_sources(image, config.source_extraction)
    found = extraction.measurements.take(extraction.measurements.flags & Flag.OUTSIDE == 0)
    brightest = int(np.argmax(found.f_peak))
    ra, dec = found.ra[brightest], found.dec[brightest]
    settings = {"background": extraction.background, "neighbours": NOTHING}
    beside = dec + 0.7 * image.metadata.beam.bmaj

    def fit(asked):
        return forced_fitting.perform_forced_fits(asked, image.url, config.source_extraction, **settings)

    alone = fit(requests([ra], [dec]))
    for order in ([0, 1], [1, 0]):
        kind = np.array([ExtractType.NULL_DETECTION, ExtractType.MONITORED])[order]
        both = fit(requests([ra, ra], np.array([dec, beside])[order]).with_columns(kind=kind))
        source = both.take(order)
        assert (source.f_peak[0], source.f_peak_err[0]) == (alone.f_peak[0], alone.f_peak_err[0])
        assert list(both.extract_type) == list(kind)
        # The position itself is fitted together with the source: it shows what is left.
        assert abs(source.f_peak[1]) < 0.3 * source.f_peak[0]


def test_no_requests_touch_no_file(config):
    none = FitRequests.empty()
    fits = forced_fitting.perform_forced_fits(
        none, "not there.fits", config.source_extraction, background=None, neighbours=NOTHING
    )
    assert len(fits) == 0


def test_extraction_travels_between_processes(image, config):
    extraction = extract_sources(image, config.source_extraction)
    copy = pickle.loads(pickle.dumps(extraction))
    assert (copy.measurements.f_peak == extraction.measurements.f_peak).all()
    assert len(extraction.measurements) > 0


def test_requests_and_fits_must_match_in_number(config):
    state = DatasetState(config=config)
    images = association.associate_extracted_sources(state, [FIELD.image(0)])
    with pytest.raises(ValueError, match="0 forced fits for 1 requests"):
        forced_fitting.insert_and_associate_forced_fits(state, images, [requests([1.0], [2.0])], [NOTHING])


def test_fit_without_flux_has_a_row_with_its_reason_and_is_not_associated(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    (record,) = dataset.process(FIELD.image(1), forced=lambda asked: sources(asked.ra, asked.dec, flux=np.nan))
    assert (record.n_requested, record.n_fitted, len(record.measurements)) == (1, 0, 1)
    assert dataset.types() == [[4]]
    lost = "SELECT n_forced_requested - n_forced_measured FROM timestep ORDER BY taustart_ts"
    assert dataset.column(lost) == [0, 1]
    (row,) = dataset.rows("SELECT * FROM extractedsource WHERE extract_type = 1")
    assert (row["f_peak"], row["f_int"], row["flags"]) == (None, None, Flag.FIT_FAILED)
    assert row["ff_runcat"] == dataset.entries()[0]["id"]


def test_monitored_position_without_flux_has_a_row_and_no_entry(make_dataset):
    dataset = make_dataset(monitors=[(123.0, 10.0)])
    dataset.process(FIELD.image(0), forced=nothing_there)
    (row,) = dataset.rows("SELECT * FROM extractedsource")
    assert (row["extract_type"], row["f_int"], row["flags"]) == (2, None, Flag.OUTSIDE)
    assert row["ff_monitor"] == dataset.column("SELECT id FROM monitor")[0]
    assert dataset.entries() == []


def nothing_there(asked):
    nan = dict.fromkeys(("f_peak", "f_int", "f_peak_err", "f_int_err", "ew_fit_err", "ns_fit_err", "rms"), np.nan)
    return sources(asked.ra, asked.dec).with_columns(flags=int(Flag.OUTSIDE), **nan)


def test_band_that_saw_the_parent_of_a_fork_measures_no_clone_again(make_dataset):
    dataset = make_dataset(association={"method": "trap"})
    one, pair = sources(123.0, 10.0), sources([122.9999, 123.0001], [9.9995, 10.0005])
    dataset.process(FIELD.image(0, one, freq=120e6), FIELD.image(0, one, freq=160e6))
    dataset.process(FIELD.image(1, one, freq=120e6), FIELD.image(1, pair, freq=160e6))
    assert dataset.requests == [0, 0, 0, 0]
    # Of each clone: three points inherited (the last from the first band of this time) and its own.
    assert [sorted(types) for types in dataset.types()] == [[2, 6, 6, 6]] * 2
    assert sorted(dataset.column("SELECT f_datapoints FROM runningcatalog_flux")) == [2, 2, 2, 2]


def test_source_that_a_later_band_shows_next_to_an_entry_is_not_missed_before(make_dataset):
    dataset = make_dataset()
    one, pair = sources(123.0, 10.0), sources([122.9999, 123.0001], [9.9995, 10.002])
    dataset.process(FIELD.image(0, one, freq=120e6), FIELD.image(0, one, freq=160e6))
    dataset.process(FIELD.image(1, one, freq=120e6), FIELD.image(1, pair, freq=160e6))
    dataset.process(FIELD.image(2, pair, freq=120e6), FIELD.image(2, one, freq=160e6))
    # The neighbour is first seen by the second band of day 1, and missed by the second band of day 2 alone.
    assert dataset.requests == [0, 0, 0, 0, 0, 1]
    assert dataset.types() == [[4, 3, 3, 3, 3, 3], [4, 3, 7]]


def test_fork_in_a_later_band_leaves_no_broken_request(make_dataset):
    # TraP asked for the fit in the first band, forked the entry in the second, and lost the timestep.
    dataset = make_dataset(association={"method": "trap"})
    dataset.process(FIELD.image(0, sources(123.1235, 10.55)))
    fork = sources([123.12349, 123.12351], [10.549, 10.551])
    dataset.process(FIELD.image(1, freq=120e6), FIELD.image(1, fork, freq=160e6))
    assert [sorted(types) for types in dataset.types()] == [[2, 6, 7], [2, 6, 7]]


def test_blind_measurement_without_a_light_curve_is_flagged(make_dataset):
    state = make_dataset().state
    (image,) = association.associate_extracted_sources(state, [FIELD.image(0, sources([123.0, 123.5], 10.0))])
    alone = replace(image, associations=image.associations.take(slice(1)))
    (after,) = forced_fitting.insert_and_associate_forced_fits(
        state, [alone], [FitRequests.empty()], [Measurements.empty()]
    )
    assert (after.measurements.flags & Flag.REPLACED > 0).tolist() == [False, True]
