"""Tables of the positions that were measured on demand; no result of a dataset depends on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from trap.catalogues import Measurements
from trap.db.models.base import Base, described, identifier, reference, stored

__all__ = ["PositionFit", "PositionPoint"]

_UNREAD = "NULL without a flux density."


class PositionFit(Base):
    """A position that was measured on demand in the images of a dataset.

    It is no source: it has no entry in the running catalogue, and no result of the dataset depends on it.
    """

    __tablename__ = "positionfit"
    __table_args__ = (UniqueConstraint("dataset", "ra", "decl"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset whose images are measured.", index=False)
    ra: Mapped[float] = stored(Measurements, "ra")
    decl: Mapped[float] = stored(Measurements, "dec")
    made_ts: Mapped[datetime] = described("Time when the position was measured for the first time.")
    changed_ts: Mapped[datetime] = described("Time when the newest of its points were stored.")
    software_version: Mapped[str] = described("Version of the software that measured these points.")
    state: Mapped[str] = described(
        "'done' if all images of that time were measured, 'partial' if the work was cancelled or interrupted."
    )


class PositionPoint(Base):
    """The fit at such a position in one image that may show it, or the reason why the image gave none."""

    __tablename__ = "positionpoint"
    __table_args__ = (UniqueConstraint("fit", "image"),)
    id: Mapped[int] = identifier()
    fit: Mapped[int] = reference("positionfit", "Position.", index=False)
    image: Mapped[int] = reference("image", "Measured image.")
    f_int: Mapped[float | None] = stored(Measurements, "f_int", _UNREAD)
    f_int_err: Mapped[float | None] = stored(Measurements, "f_int_err")
    f_peak: Mapped[float | None] = stored(Measurements, "f_peak", _UNREAD)
    f_peak_err: Mapped[float | None] = stored(Measurements, "f_peak_err")
    rms: Mapped[float | None] = stored(Measurements, "rms")
    det_sigma: Mapped[float | None] = stored(Measurements, "significance")
    chisq: Mapped[float | None] = stored(Measurements, "chisq")
    reduced_chisq: Mapped[float | None] = stored(Measurements, "reduced_chisq")
    x_pix: Mapped[float | None] = stored(Measurements, "x")
    y_pix: Mapped[float | None] = stored(Measurements, "y")
    flags: Mapped[int] = stored(Measurements, "flags", default=0)
    gain: Mapped[float] = described("Gain that the flux densities were divided by; 1 for none.", default=1)
    gain_err: Mapped[float | None] = stored(Measurements, "gain_err", "NULL if flux densities were not corrected.")
    f_int_raw: Mapped[float | None] = stored(Measurements, "f_int_raw", "NULL if flux densities were not corrected.")
    f_peak_raw: Mapped[float | None] = stored(Measurements, "f_peak_raw", "NULL if flux densities were not corrected.")
    reason: Mapped[str] = described("Reason why there is no flux density; empty if there is one.", default="''")
    is_read: Mapped[bool] = described(
        "Whether the file of the image could be read. If not, the image is measured again on the next demand."
    )
