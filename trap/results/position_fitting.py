"""The fit of one position in one image after another: the same forced fit as at a monitored position.

This module imports the parts of the pipeline that fit sources; :mod:`trap.results.photometry` calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import ExtractType, FitRequests, Flag
from trap.db.datasets import stored_config
from trap.db.position_inputs import load_inputs, mean_shifts
from trap.errors import ImageError, TransientError, UnreadableImageError, out_of_memory
from trap.extraction.field import is_outside
from trap.extraction.forced import fit_positions
from trap.images.image import Image, read_image

if TYPE_CHECKING:
    from trap.catalogues import Measurements
    from trap.db.position_inputs import FitInputs
    from trap.db.reader import Reader

__all__ = ["PositionFitter"]

_OF_FIT = {
    **{name: name for name in ("f_int", "f_int_err", "f_peak", "f_peak_err", "rms", "chisq", "reduced_chisq")},
    **{name: name for name in ("flags", "gain_err", "f_int_raw", "f_peak_raw")},
    "det_sigma": "significance",
    "x_pix": "x",
    "y_pix": "y",
}
"""Columns of measurements by their names in the database."""


class PositionFitter:
    """Measures a position in the images of a dataset, as the pipeline measures a monitored position.

    The fit is made where the calibration of the image displaces the position, together with the detected sources around
    it, with the noise of the stored mesh; its flux density is divided by the applied gain.

    Parameters
    ----------
    reader, dataset
        Database, and number of the dataset.
    ra, dec
        deg, ICRS — position.
    """

    def __init__(self, reader: Reader, dataset: int, ra: float, dec: float) -> None:
        self._reader = reader
        self._dataset = dataset
        self._request = FitRequests.of(ra=[ra], dec=[dec], kind=int(ExtractType.MONITORED), target=0)
        self._shifts: dict[int, tuple[float, float]] = {}
        with reader.read() as connection:
            self._config = stored_config(connection, dataset)

    def fit(self, image: int) -> dict[str, Any]:
        """Measure the position in one image.

        Parameters
        ----------
        image
            Row number of the image.

        Returns
        -------
        The point: values of table ``positionpoint`` by name.

        Raises
        ------
        DatabaseError, TransientError
            If the database cannot be read.
        """
        with self._reader.read() as connection:
            inputs = load_inputs(connection, image)
            if inputs.calibration.astrometry.is_applied and image not in self._shifts:
                self._shifts |= mean_shifts(connection, self._dataset, image)
        try:
            fit, reason = self._measure(inputs, self._shifts.get(image, (0.0, 0.0)))
        except ImageError as error:
            return {"image": image, "reason": error.message_for(inputs.url), "is_read": False}
        except TransientError as error:
            return {"image": image, "reason": str(error), "is_read": False}
        except MemoryError as error:
            return {"image": image, "reason": out_of_memory(error), "is_read": False}
        values = {name: getattr(fit, column)[0].item() for name, column in _OF_FIT.items()}
        values["gain_err"] = values["gain_err"] or np.nan  # as in the table of measurements
        return {"image": image, **values, "gain": inputs.calibration.applied_gain, "reason": reason, "is_read": True}

    def _measure(self, inputs: FitInputs, shift: tuple[float, float]) -> tuple[Measurements, str]:
        """Return the fit, (1,), and the reason why it has no flux density; empty if it has one."""
        image = self._open(inputs)
        place = inputs.calibration.requests_in_image(self._request, shift)
        fit = fit_positions(
            image,
            place.ra,
            place.dec,
            background=inputs.background,
            neighbours=inputs.sources,
            config=self._config.source_extraction,
        )
        fit = inputs.calibration.correct_fits(fit, self._request)
        if fit.is_measured[0]:
            return fit, ""
        if not fit.flags[0] & Flag.OUTSIDE:
            return fit.with_columns(flags=fit.flags | Flag.FIT_FAILED), "the fit failed"
        return fit, self._place(fit, inputs.background.shape)

    def _open(self, inputs: FitInputs) -> Image:
        """Open the file of an image, or the file with its kept pixels, and check that it is the same image.

        Raises
        ------
        ImageError
            If neither can be read, or the file was replaced.
        """
        image = read_image(inputs.url, self._config.reading)
        try:
            size = image.metadata.ny, image.metadata.nx
        except UnreadableImageError:
            if inputs.kept is None or not inputs.kept.is_file():
                raise
            image = read_image(inputs.kept)
            size = image.metadata.ny, image.metadata.nx
        image.require_start(inputs.start)
        if size != inputs.background.shape:
            (ny, nx), (now_ny, now_nx) = inputs.background.shape, size
            msg = f"the file was replaced: it held an image of {nx} × {ny} pixels, now one of {now_nx} × {now_ny}"
            raise ImageError(msg, inputs.url)
        return image

    def _place(self, fit: Measurements, shape: tuple[int, int]) -> str:
        """Return where a position lies that has no flux density."""
        x, y = fit.x[0], fit.y[0]
        is_on_image = -0.5 < x < shape[1] - 0.5 and -0.5 < y < shape[0] - 0.5
        if not is_on_image:  # also NaN, beyond the horizon
            return "outside the image"
        if np.any(is_outside(np.round(x), np.round(y), shape, self._config.source_extraction)):
            return "outside the searched area"
        return "no pixel value at the position"
