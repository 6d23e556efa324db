"""Cut-outs of images with their projection and unit, from kept pixels or from the files of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.nddata import Cutout2D

from trap.errors import ImageError, TransientError, TrapError
from trap.report.epochs import read_epoch
from trap.results.positions import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from trap.config import ReadingConfig
    from trap.images.cutouts import CutOut
    from trap.typing import Columns

__all__ = ["Cutouts", "SourceCutout", "read_cutouts", "requested_size"]

MAX_SIZE = 4001
"""pix — largest width of a cut-out."""


class SourceCutout(Cutout2D):  # type: ignore[misc]
    """The pixels of an image around a source: astropy's :class:`~astropy.nddata.Cutout2D` with unit and origin.

    ``data`` has the pixels in Jy/beam, NaN outside the image; ``wcs`` their projection. ``position_cutout`` is the
    place of the source among them. Positions and slices of the original image are not known: they are those of the
    cut-out.

    Parameters
    ----------
    cutout
        Pixels with their projection and beam.
    about
        Properties of the image, for ``meta``.
    """

    unit = units.Jy / units.beam
    """Unit of the pixels."""

    def __init__(self, cutout: CutOut, about: Mapping[str, Any]) -> None:
        # Of an odd number of pixels around the position, the part around the position is all of them.
        super().__init__(cutout.pixels, cutout.position, cutout.pixels.shape, wcs=cutout.wcs, mode="partial")
        self.meta = dict(about)
        """Number and path of the image, its time, frequency and Stokes parameter."""
        self.drawing = cutout
        """The cut-out as figures need it."""

    @property
    def quantity(self) -> units.Quantity:
        """The pixels with their unit."""
        return units.Quantity(self.data, self.unit, copy=False)

    @property
    def title(self) -> str:
        """Time and frequency of the image, and the flux density of the source if it was measured."""
        return self.drawing.title

    @property
    def hdu(self) -> fits.PrimaryHDU:
        """The cut-out as FITS with projection, beam and unit: ``cutout.hdu.writeto("cutout.fits")``."""
        header = self.wcs.to_header()
        header["BUNIT"], header["RESTFRQ"] = "JY/BEAM", self.meta["freq_eff"]
        header["DATE-OBS"] = str(np.datetime64(self.meta["taustart_ts"], "us"))
        beam = self.drawing.restoring
        if beam is not None:
            header["BMAJ"], header["BMIN"], header["BPA"] = beam.bmaj, beam.bmin, beam.bpa
        return fits.PrimaryHDU(self.data, header)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cut-out and return the axes.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a figure.
        """
        from matplotlib import pyplot as plt

        from trap.report.cutouts import draw_cutouts

        if ax is None:
            _, ax = plt.subplots(figsize=(3.2, 3.2), layout="constrained")
        draw_cutouts([ax], [self.drawing])
        return ax

    def __repr__(self) -> str:
        ny, nx = self.data.shape
        return f"<SourceCutout {ny} × {nx} pixels, {' '.join(self.title.split())}>"


class Cutouts(list[SourceCutout]):
    """Cut-outs in order of time.

    Parameters
    ----------
    cutouts
        Cut-outs of the images that could be read.
    missing
        Reason for each other image.
    """

    def __init__(self, cutouts: Iterable[SourceCutout], missing: Iterable[str] = ()) -> None:
        super().__init__(cutouts)
        self.missing = tuple(missing)
        """Reason for each image without a cut-out."""

    @classmethod
    def of(cls, found: Iterable[SourceCutout | str]) -> Self:
        """Separate cut-outs from reasons."""
        listed = list(found)
        cutouts = [one for one in listed if isinstance(one, SourceCutout)]
        return cls(cutouts, [one for one in listed if isinstance(one, str)])


def requested_size(size: int | None) -> int | None:
    """Return the width of a cut-out with a pixel in its middle: an odd number; None for the usual width.

    Parameters
    ----------
    size
        pix — requested width; None for the usual one.

    Raises
    ------
    ConfigError
        If it is no width.
    """
    return None if size is None else whole_number(size, "size", 1, MAX_SIZE) | 1


def read_cutouts(
    looks: Columns,
    position: tuple[float, float],
    *,
    kept: Mapping[int, Path],
    settings: ReadingConfig,
    size: int | None,
) -> Cutouts:
    """Read a cut-out of each of several images.

    Parameters
    ----------
    looks
        (n,) columns of :func:`trap.report.epochs.read_epoch`, and ``image``.
    position
        deg, ICRS — position.
    kept
        Files with kept pixels, by number of the image.
    settings
        Settings for reading the images.
    size
        pix — width; None is the usual one.

    Raises
    ------
    TrapError
        If no image can be read.
    """
    found: list[SourceCutout | str] = []
    for i, image in enumerate(looks["image"].tolist()):
        look = {name: values[i] for name, values in looks.items()}
        try:
            cutout = read_epoch(look, *position, kept=kept.get(image), settings=settings, size=size)
        except (ImageError, TransientError) as error:
            found.append(f"image {image}: {error}")
        else:
            about = {name: look[name] for name in ("image", "url", "taustart_ts", "freq_eff", "stokes")}
            found.append(SourceCutout(cutout, about))
    cutouts = Cutouts.of(found)
    if not cutouts:
        problem = cutouts.missing[0] if cutouts.missing else "it has no point"
        msg = f"no image of this source can be read, and no pixels of it are kept: {problem}"
        raise TrapError(msg)
    return cutouts
