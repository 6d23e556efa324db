"""Calibrations as text; expected values are computed by hand from a few made-up images."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field
from structlog.testing import capture_logs

from trap.association.entries import LightCurveKey
from trap.calibration.records import Astrometry, FluxScale, ImageCalibration
from trap.catalogues import NewSources
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.quality import Rejection, RejectReason
from trap.report.calibration import (
    calibration_columns,
    calibration_lines,
    calibration_text,
    find_bands,
    relative_calibrations,
)
from trap.report.run_summary import run_text
from trap.run.observers import log_outcome

FIRST_GAIN = "the first image of its band sets the flux scale"
FIRST_SHIFT = "the first image sets the positions"


class Stored:
    """An image as a run holds it."""

    def __init__(self, result, band=0):
        self.result, self.key = result, LightCurveKey(band, result.metadata.stokes)
        self.measurements, self.new_sources = result.measurements, NewSources.empty()
        self.n_blind, self.n_dropped, self.n_fitted, self.dropped = len(result.measurements), 0, 0, {}


def calibration(gain=np.nan, east=np.nan, *, gain_err=0.06, shift_err=0.1, applied=True, note="", **changes):
    """Make a calibration whose shift to the north is twice that to the east."""
    flux_scale = FluxScale(n_matches=20, is_applied=applied, gain=gain, gain_err=gain_err, note=note)
    astrometry = Astrometry(
        n_matches=20, model="shift", is_applied=applied, shift_ew=east, shift_ns=2 * east, shift_ew_err=shift_err,
        shift_ns_err=shift_err, scatter_before=2.0, scatter=0.2, ew_sys_err=0.05, ns_sys_err=0.07, note=note,
    )  # fmt: skip
    return ImageCalibration(**{"flux_scale": flux_scale, "astrometry": astrometry, **changes})


def first(gain_err=0.03):
    """Make the calibration of the first image of a dataset."""
    scale = FluxScale(gain=1.0, gain_err=gain_err, note=FIRST_GAIN)
    astrometry = Astrometry(shift_ew=0.0, shift_ns=0.0, shift_ew_err=0.1, shift_ns_err=0.1, note=FIRST_SHIFT)
    return ImageCalibration(flux_scale=scale, astrometry=astrometry)


def columns_of(*calibrations, freq=None, stokes=None):
    """Put images of successive days into the columns of the database."""
    freq, stokes = freq or [140e6] * len(calibrations), stokes or [1] * len(calibrations)
    bands = {one: number for number, one in enumerate(sorted(set(freq)))}
    images = [
        Stored(Field().image(day, freq=one_freq, stokes=one_stokes, calibration=one), bands[one_freq])
        for day, (one, one_freq, one_stokes) in enumerate(zip(calibrations, freq, stokes, strict=True))
    ]
    return {"image": np.arange(len(images)) + 11, **calibration_columns(images)}


THREE = (first(), calibration(2.0, 3.0), calibration(3.0, -6.0))
"""Gains 1, 2 and 3 with a mean of 2; shifts to the east of 0, 3 and -6 with a mean of -1."""


def test_gains_have_the_mean_1_and_shifts_the_mean_0():
    relative = relative_calibrations(columns_of(*THREE))
    assert relative["gain"].tolist() == [0.5, 1.0, 1.5]
    assert relative["gain_err"] == pytest.approx([0.015, 0.03, 0.03])
    assert relative["shift_ew"].tolist() == [1.0, 4.0, -5.0]
    assert relative["shift_ns"].tolist() == [2.0, 8.0, -10.0]


def test_applied_values_are_those_that_are_stored():
    relative = relative_calibrations(columns_of(*THREE))
    assert np.isnan(relative["gain_applied"][0])
    assert relative["gain_applied"][1:].tolist() == [2.0, 3.0]
    assert relative["shift_ew_applied"][1:].tolist() == [3.0, -6.0]
    assert relative["shift_ns_applied"][1:].tolist() == [6.0, -12.0]


def test_bands_have_means_of_their_own():
    columns = columns_of(*THREE, first(), calibration(0.5, 1.0), freq=[140e6] * 3 + [60e6] * 2)
    assert [band.label for band in find_bands(columns)] == ["60 MHz", "140 MHz"]
    relative = relative_calibrations(columns)
    assert relative["gain"] == pytest.approx([0.5, 1.0, 1.5, 4 / 3, 2 / 3])
    assert relative["shift_ew"] == pytest.approx([1.0, 4.0, -5.0, -0.5, 0.5])


def test_stokes_v_refers_to_the_mean_of_stokes_i():
    # The only image of Stokes V has a gain of 3, which is not the mean of its band.
    columns = columns_of(*THREE, calibration(3.0, -6.0), stokes=[1, 1, 1, 4])
    assert relative_calibrations(columns)["gain"].tolist() == [0.5, 1.0, 1.5, 1.5]
    text = calibration_text(columns)
    assert "140 MHz: 3 images; 1 image of Stokes Q, U and V with their corrections" in text
    assert text.splitlines()[0].split()[:5] == ["image", "time", "(UTC)", "MHz", "Stokes"]


def test_correlations_have_scales_of_their_own():
    columns = columns_of(first(), calibration(3.0, 1.0), first(), calibration(1.0, 1.0), stokes=[-5, -5, -6, -6])
    assert [band.label for band in find_bands(columns)] == ["140 MHz XX", "140 MHz YY"]
    assert relative_calibrations(columns)["gain"].tolist() == [0.5, 1.5, 1.0, 1.0]


def test_every_image_has_a_line_with_its_values_and_reasons():
    lines = calibration_text(columns_of(*THREE)).splitlines()
    assert lines[1].startswith("   11  2012-01-01T00:00:00")
    assert lines[1].endswith(f"{FIRST_GAIN}; {FIRST_SHIFT}")
    cells = lines[2].split()
    assert cells[2:14] == [
        "140",
        "20",
        "1.000*",
        "0.030",
        "4.00*",
        "0.10",
        "8.00*",
        "0.10",
        "shift",
        "2",
        "0.2",
        "0.05,",
    ]


def test_a_value_that_is_not_applied_has_no_star():
    measured = calibration(2.0, 3.0, applied=False, note="measured only")
    line = calibration_text(columns_of(first(), measured)).splitlines()[2]
    assert "*" not in line
    assert line.endswith("measured only")


def test_summary_of_a_band_has_counts_scatter_and_scale():
    lines = calibration_text(columns_of(*THREE)).splitlines()[4:]
    assert lines == [
        "* applied; gains are relative to their mean in the band, shifts (to the east and to the north) too",
        "140 MHz: 3 images",
        "  gains: 2 corrected, 1 measured but not corrected, 0 not measured",
        f"    1: {FIRST_GAIN}",
        "  positions: 2 corrected, 1 measured but not corrected, 0 not measured",
        f"    1: {FIRST_SHIFT}",
        # √((1² + 0² + 1²) / 2) = 1, over the mean of 2; the median error of 0.06 over 2
        "  gains scatter by 50 %, their errors are 3 %",
        # √((1² + 4² + 5²) / 2) = √21
        "  shifts scatter by 4.6″ east-west and 9.2″ north-south",
        "  median systematic position error 0.05″ east-west and 0.07″ north-south",
        # √(0.03² + 0.06² + 0.06²) / 3 = 0.03
        (
            "  corrected flux densities have the scale of the first image; "
            "times 2.000 ± 0.030 they have the mean scale of the images"
        ),
    ]


def test_reasons_that_differ_in_numbers_are_counted_together():
    few = [calibration(applied=False, note=f"{n} matched calibrators, at least 5 (min_matches)") for n in (4, 0, 3)]
    weak = calibration(1.01, 0.0, applied=False, note="no significant gain (1.2 σ, at least 4)")
    text = calibration_text(columns_of(first(), *few, weak))
    assert "    3: 0 to 4 matched calibrators, at least 5 (min_matches)" in text
    assert "    1: no significant gain (1.2 σ, at least 4)" in text
    assert "  gains: 0 corrected, 2 measured but not corrected, 3 not measured" in text


def test_a_reference_with_a_scale_of_its_own_is_named():
    scale = FluxScale(reference="nvss.fits", is_applied=True, gain=1.1, gain_err=0.01, n_matches=9)
    text = calibration_text(columns_of(ImageCalibration(flux_scale=scale)))
    assert "corrected flux densities have the scale of nvss.fits" in text


def test_nothing_measured_is_text_without_nan():
    nothing = ImageCalibration()
    text = calibration_text(columns_of(nothing, nothing))
    assert "nan" not in text
    assert "2: not measured" in text
    assert calibration_text(columns_of()) == "no image was calibrated"


def test_lines_of_a_run_have_numbers_scatter_and_reasons():
    # Gains 0.5, 1 and 1.5 scatter by 0.5; shifts by √21 and √84 along the axes, by √52.5 = 7.2 along one.
    assert list(calibration_lines(columns_of(*THREE))) == [
        "calibration: 2 of 3 images corrected; gains scatter by 50 %, shifts by 7.2″",
        f"not corrected: 1 ({FIRST_GAIN}; {FIRST_SHIFT})",
    ]


def test_images_of_one_kind_of_correction_are_counted_apart():
    only_flux = calibration(2.0, 3.0, astrometry=Astrometry(note="no significant displacement"))
    (line, _) = calibration_lines(columns_of(*THREE, only_flux))
    assert line.startswith("calibration: 3 of 4 images corrected (flux densities of 3, positions of 2); ")


def test_a_run_without_calibration_has_no_line():
    assert list(calibration_lines(columns_of(ImageCalibration()))) == []
    assert list(calibration_lines(columns_of())) == []


def test_summary_of_a_run_has_the_calibration_of_its_accepted_images():
    images = [Stored(Field().image(day, calibration=one)) for day, one in enumerate(THREE)]
    rejected = Field().image(4).rejected(Rejection(reason=RejectReason(0), comment="bad"))
    start = images[0].result.metadata.taustart_ts
    outcome = TimestepOutcome(taustart_ts=start, images=(*images, Stored(rejected)))
    summary = RunSummary(dataset_id=3, outcomes=(outcome,), unreadable=(), known=(), late=())
    text = run_text(summary, "sqlite:///a.db", program="trap")
    assert "\ncalibration: 2 of 3 images corrected; gains scatter by 50 %" in text


def test_log_of_a_timestep_has_what_was_applied():
    def event(*calibrations):
        images = [Stored(Field().image(0, freq=140e6 + i, calibration=one)) for i, one in enumerate(calibrations)]
        with capture_logs() as logs:
            log_outcome(TimestepOutcome(taustart_ts=images[0].result.metadata.taustart_ts, images=tuple(images)))
        return logs[-1]

    # A shift of 3″ to the east and 6″ to the north is one of √45″ = 6.7″.
    assert {name: event(THREE[1])[name] for name in ("gain", "shift")} == {"gain": "2.000", "shift": "6.7"}
    assert event(*THREE[1:])["gain"] == "2.000 to 3.000"
    assert not {"gain", "shift"} & set(event(THREE[0]))
