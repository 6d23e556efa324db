"""Quality control: whether an image is good enough to be searched, and the reason if it is not."""

from trap.codes import RejectReason
from trap.quality.accepted import AcceptedImages, HistoryKey
from trap.quality.checks import (
    check_against_catalogue,
    check_against_earlier,
    check_against_small_catalogue,
    check_calibration,
    check_image,
    check_list,
    check_sources,
)
from trap.quality.history import SAMPLE, may_be_too_many
from trap.quality.negative import find_negative, measure_area
from trap.quality.pixels import rms_qc
from trap.quality.reasons import Finding, Rejection, first_rejection
from trap.quality.records import CalibrationInput, CatalogueInput, EarlierInput, ImageInput, SourceInput

__all__ = [
    "SAMPLE",
    "AcceptedImages",
    "CalibrationInput",
    "CatalogueInput",
    "EarlierInput",
    "Finding",
    "HistoryKey",
    "ImageInput",
    "RejectReason",
    "Rejection",
    "SourceInput",
    "check_against_catalogue",
    "check_against_earlier",
    "check_against_small_catalogue",
    "check_calibration",
    "check_image",
    "check_list",
    "check_sources",
    "find_negative",
    "first_rejection",
    "may_be_too_many",
    "measure_area",
    "rms_qc",
]
