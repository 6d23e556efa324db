"""Whether an image is good enough to be searched, and if not, why."""

from trap.quality.checks import Look, check_alone, check_among_earlier, check_sources
from trap.quality.history import AcceptedImages, HistoryKey
from trap.quality.negative import count_negative
from trap.quality.pixels import rms_qc
from trap.quality.reasons import Finding, Rejection, RejectReason, first_rejection

__all__ = [
    "AcceptedImages",
    "Finding",
    "HistoryKey",
    "Look",
    "RejectReason",
    "Rejection",
    "check_alone",
    "check_among_earlier",
    "check_sources",
    "count_negative",
    "first_rejection",
    "rms_qc",
]
