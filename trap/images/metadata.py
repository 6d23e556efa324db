"""Metadata of an image: all that is read from its header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trap.images.skyregion import SkyRegion

if TYPE_CHECKING:
    from datetime import datetime

    from trap.images.beam import Beam

__all__ = ["ImageMetadata", "LofarStations"]

_NEGLIGIBLE = 1.01
"""Ratio of two distances, up to which the regions of images with one size are kept the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LofarStations:
    """LOFAR stations and subbands of an image, which determine its theoretical noise.

    Parameters
    ----------
    antenna_set
        Name of the antenna set, such as ``HBA_DUAL`` or ``LBA_INNER``.
    ncore, nremote, nintl
        Numbers of core, remote and international stations.
    subbands
        Number of subbands.
    subbandwidth
        Hz — width of a subband.
    """

    antenna_set: str
    ncore: int
    nremote: int
    nintl: int
    subbands: int
    subbandwidth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetadata:
    """Time, pointing, frequency and geometry of an image.

    Parameters
    ----------
    url
        Path of the image, or its name if it is in memory.
    taustart_ts
        Start of the observation, in UTC; it must have a time zone.
    tau_time
        s — duration of the observation; 0 if it is unknown.
    freq_eff, freq_bw
        Hz — central frequency and bandwidth.
    stokes
        FITS code of the Stokes parameter; 1 is I.
    telescope
        Name of the telescope; may be empty.
    beam
        Restoring beam; None if the header has no usable beam.
    centre_ra, centre_dec
        deg — position of the middle of the image, ICRS; the right ascension in [0, 360).
    deltax, deltay
        deg/pixel — increments along x and y. See :func:`trap.images.headers.scale.pixel_increments` for their place
        in the image and their signs.
        0 for a source list without an image.
    nx, ny
        Number of columns and of rows; 0 for a source list without an image.
    unit
        Unit of the pixels in the file; may be empty.
    jansky_per_unit
        Factor that converts the pixels to Jy/beam, in the middle of the image.
    conversion
        Description of the conversion; empty if the pixels are in Jy/beam.
    reach
        deg — distance on the sky from the middle to the farthest pixel; 0 takes it from the size of the image.
    lofar
        Stations of a LOFAR image whose header names them; otherwise None.
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
    jansky_per_unit: float = 1.0
    conversion: str = ""
    reach: float = 0.0
    lofar: LofarStations | None = None

    def __post_init__(self) -> None:
        if self.taustart_ts.tzinfo is None:
            msg = f"taustart_ts {self.taustart_ts} must have a time zone"
            raise ValueError(msg)

    @property
    def has_pixels(self) -> bool:
        """Whether there is an image, not only a list of its sources."""
        return self.nx > 0

    def sky_region(self, extraction_radius_pix: float) -> SkyRegion:
        """Return the region of the sky where the image is searched.

        Parameters
        ----------
        extraction_radius_pix
            pixel — radius around the middle, measured along x; 0 uses the distance to the corners. A source list
            without an image has its own radius.
        """
        is_circle = extraction_radius_pix and self.has_pixels
        radius = extraction_radius_pix * abs(self.deltax) if is_circle else self._corner_distance()
        return SkyRegion(centre_ra=self.centre_ra, centre_dec=self.centre_dec, xtr_radius=radius)

    def _corner_distance(self) -> float:
        """Return the distance in deg from the middle to a corner, or to the farthest pixel."""
        chord = math.radians(math.hypot(self.nx * self.deltax, self.ny * self.deltay) / 2)
        # For an orthographic projection, as synthesis images have; others reach less far, except over a large part of
        # the sky.
        distance = math.degrees(math.asin(chord)) if chord < 1 else 90.0
        return self.reach if self.reach > _NEGLIGIBLE * distance else distance
