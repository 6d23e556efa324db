"""What the pipeline knows of an image before it looks at the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trap.images.skyregion import SkyRegion

if TYPE_CHECKING:
    from datetime import datetime

    from trap.images.beam import Beam

__all__ = ["ImageMetadata", "LofarStations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LofarStations:
    """Which LOFAR stations and subbands an image was made of: what its theoretical noise depends on.

    Parameters
    ----------
    antenna_set
        Such as ``HBA_DUAL`` or ``LBA_INNER``.
    ncore, nremote, nintl
        Number of core, remote and international stations.
    subbands
        Number of subbands.
    subbandwidth
        Hz — width of each.
    """

    antenna_set: str
    ncore: int
    nremote: int
    nintl: int
    subbands: int
    subbandwidth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetadata:
    """When, where and how an image was taken.

    Parameters
    ----------
    url
        Where the image is.
    taustart_ts
        Start of the observation, UTC, with its time zone.
    tau_time
        s — duration of the observation; 0 where it is not known.
    freq_eff, freq_bw
        Hz — frequency and bandwidth.
    stokes
        FITS code of the Stokes parameter; 1 is I.
    telescope
        Name of the telescope; may be empty.
    beam
        Restoring beam; None where the image has none that can be used.
    centre_ra, centre_dec
        deg — position of the middle of the image, ICRS; the right ascension in [0, 360).
    deltax, deltay
        deg/pixel — increments along x and y, at the reference pixel. See
        :func:`trap.images.headers.projection.pixel_increments` for their signs.
    nx, ny
        Number of columns and of rows.
    unit
        Unit of the pixels as the file states it; may be empty.
    lofar
        Stations, of a LOFAR image that names them.
    """

    url: str
    taustart_ts: datetime
    tau_time: float
    freq_eff: float
    freq_bw: float
    stokes: int
    telescope: str
    beam: Beam | None
    centre_ra: float
    centre_dec: float
    deltax: float
    deltay: float
    nx: int
    ny: int
    unit: str
    lofar: LofarStations | None = None

    def __post_init__(self) -> None:
        if self.taustart_ts.tzinfo is None:
            msg = f"taustart_ts {self.taustart_ts} must have a time zone"
            raise ValueError(msg)

    def sky_region(self, extraction_radius_pix: float) -> SkyRegion:
        """Region of the sky in which this image is searched.

        Parameters
        ----------
        extraction_radius_pix
            Radius around the middle, in pixels along x; 0 takes the whole image.
        """
        radius = extraction_radius_pix * abs(self.deltax) if extraction_radius_pix else self._corner_distance()
        return SkyRegion(centre_ra=self.centre_ra, centre_dec=self.centre_dec, xtr_radius=radius)

    def _corner_distance(self) -> float:
        """Distance in deg from the middle to a corner, where the pixels end."""
        chord = math.radians(math.hypot(self.nx * self.deltax, self.ny * self.deltay) / 2)
        # Orthographic, as synthesis images are; the common projections reach no further than that.
        return math.degrees(math.asin(chord)) if chord < 1 else 90.0
