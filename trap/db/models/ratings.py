"""Tables of what people think of transient candidates: ratings, with tags and notes, and the candidates that have some.

No row refers to a row of table ``newsource``, whose rows are deleted with their entry, and made again with other
numbers when a dataset is processed again. A rated candidate is known by the time, the frequency and the Stokes
parameter of the image that triggered it, and by its position there; :mod:`trap.db.ratings` finds it again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from trap.db.models.base import Base, described, identifier, reference

__all__ = ["RatedCandidate", "Rating"]


class RatedCandidate(Base):
    """A transient candidate that people rated, known by its detection; it stays if the candidate is computed again."""

    __tablename__ = "ratedcandidate"
    __table_args__ = (UniqueConstraint("dataset", "taustart_ts", "freq_eff", "stokes", "ra", "decl"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the candidate.", index=False)
    taustart_ts: Mapped[datetime] = described(
        "Start of the image that triggered the candidate.", ucd="time.start;obs.exposure"
    )
    freq_eff: Mapped[float] = described("Central frequency of that image.", "Hz", ucd="em.freq")
    stokes: Mapped[int] = described("Stokes parameter, as numbered in FITS: 1 is I.", ucd="phys.polarization.stokes")
    ra: Mapped[float] = described(
        "Right ascension of the measurement that triggered it, when it was first rated.", "deg", ucd="pos.eq.ra"
    )
    decl: Mapped[float] = described("Declination of that measurement.", "deg", ucd="pos.eq.dec")
    x: Mapped[float] = described("x of the unit vector, cos δ cos α.")
    y: Mapped[float] = described("y of the unit vector, cos δ sin α.")
    z: Mapped[float] = described("z of the unit vector, sin δ.")
    radius: Mapped[float] = described(
        "Largest distance of a measurement that is the same detection: half a beam of the image.", "deg"
    )


class Rating(Base):
    """A rating of a candidate by one person. Earlier ratings stay; the latest one of each person counts."""

    __tablename__ = "rating"
    __table_args__ = (Index(None, "candidate", "rater"),)
    id: Mapped[int] = identifier()
    candidate: Mapped[int] = reference("ratedcandidate", "Rated candidate.", index=False)
    rater: Mapped[str] = described("Name of the person.", ucd="meta.id")
    rating: Mapped[str] = described(
        "'true', 'false' or 'unsure': whether the candidate is a transient.", ucd="meta.code"
    )
    rated_ts: Mapped[datetime] = described("Time of the rating.", ucd="time.creation")
    tags: Mapped[str] = described("Tags in alphabetical order, separated by commas; empty without any.", default="''")
    note: Mapped[str] = described("Note of the person; empty without one.", default="''", ucd="meta.note")
