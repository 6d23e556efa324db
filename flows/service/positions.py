"""Monitored positions as parameters of a flow, which must be JSON, and as the pipeline's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trap.catalogues import MonitorPositions

__all__ = ["MonitoredPosition", "as_parameter", "as_table"]


class MonitoredPosition(BaseModel):
    """A position that is measured in every image."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ra: Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False)]
    """Right ascension, ICRS, in degrees."""
    dec: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    """Declination, ICRS, in degrees."""
    name: Annotated[str, Field(max_length=100)] = ""
    """Name for people."""


def as_table(monitors: Sequence[MonitoredPosition] | None) -> MonitorPositions | None:
    """Make the pipeline's table of parameters; None if there are none."""
    if not monitors:
        return None
    return MonitorPositions.of(
        ra=[position.ra for position in monitors],
        dec=[position.dec for position in monitors],
        name=[position.name for position in monitors],
    )


def as_parameter(monitors: MonitorPositions | None) -> list[MonitoredPosition]:
    """Make parameters of the pipeline's table."""
    if monitors is None:
        return []
    rows = zip(monitors.ra, monitors.dec, monitors.name, strict=True)
    return [MonitoredPosition(ra=float(ra), dec=float(dec), name=str(name)) for ra, dec, name in rows]
