"""Conversion of monitored positions between parameters of a flow and the table of the pipeline.

Parameters of a flow must be representable in JSON, and their descriptions appear in Prefect's form.
"""

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
    """Name of the position, for display."""


def as_table(monitors: Sequence[MonitoredPosition] | None) -> MonitorPositions | None:
    """Convert parameters of a flow to the table of the pipeline; None if there are no positions."""
    if not monitors:
        return None
    return MonitorPositions.of(
        ra=[position.ra for position in monitors],
        dec=[position.dec for position in monitors],
        name=[position.name for position in monitors],
    )


def as_parameter(monitors: MonitorPositions | None) -> list[MonitoredPosition]:
    """Convert the table of the pipeline to parameters of a flow."""
    if monitors is None:
        return []
    rows = zip(monitors.ra, monitors.dec, monitors.name, strict=True)
    return [MonitoredPosition(ra=float(ra), dec=float(dec), name=str(name)) for ra, dec, name in rows]
