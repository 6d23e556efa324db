"""The light curve of any position: forced fits on demand in all images that may show it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.db.meanings import describe_position_points, describe_positions
from trap.db.overview import frequency_bands
from trap.db.position_fits import (
    find_position,
    images_at,
    join_points,
    keep_points,
    kept_positions,
    missing_images,
    no_points,
    points_of,
    read_position,
)
from trap.errors import WorkerLostError
from trap.results.curves import LightCurves, described_kinds, of_selection
from trap.results.tables import LightCurve, Results, as_results, as_series
from trap.selection import Selection
from trap.workers.executors import SerialExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from trap.db.reader import Reader
    from trap.results.positions import Angle, Frequencies, Letters, Source
    from trap.typing import Columns, Progress
    from trap.workers.executors import Executor

__all__ = ["Photometry", "fit_image", "fit_images", "measure_position", "merge_points"]

N_AHEAD = 4
"""Number of images that are submitted before their turn, so that no worker waits."""
_fitters: dict[tuple[str, int, float, float], Any] = {}
"""The fitter of this process, which has the settings of the dataset."""


class Photometry(LightCurves):
    """Light curves of positions that need no source."""

    def photometry(
        self,
        position: Source,
        dec: Angle | None = None,
        *,
        band: Frequencies = None,
        stokes: Letters = None,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> LightCurve:
        """Return the light curve of a position by forced fits in all images that may show it.

        Each fit equals the fit of a monitored position: at the exact position, together with the detected sources
        around it, with the calibration of the image. Points that the database keeps are read; images without one are
        measured now, in this process. No result of the dataset changes.

        An image without a flux density has NaN, and its ``reason``.

        Parameters
        ----------
        position, dec
            Position, or the number or row of an entry, as for :meth:`light_curve`.
        band, stokes
            As for :meth:`light_curve`; all images are measured.
        keep
            Whether the points are stored in the database, which must be writable.
        progress
            Called with the number of images done, and of all.

        Raises
        ------
        ConfigError
            If it is no position.
        DatabaseError
            If the points are to be kept and the database is read-only.
        TrapError
            If there is no such entry.

        Examples
        --------
        >>> curve = dataset.photometry("11h32m32.8s +27d41m56s")  # doctest: +SKIP
        >>> curve["time", "f_int", "f_int_err", "upper_limit", "reason"].pprint()  # doctest: +SKIP
        """
        with self._read() as connection:
            ra, dec_deg = self._place(connection, position, dec)
            ra %= 360.0
            bands = frequency_bands(connection, self.number)
        curve = measure_position(self._reader, self.number, (ra, dec_deg), keep=keep, progress=progress)
        rows = of_selection(curve, bands, Selection.of(band=band, stokes=stokes))
        curve = {name: values[rows] for name, values in curve.items()}
        described = describe_position_points(curve)
        described |= described_kinds({name: values for name, (_, values) in described.items()})
        about = self._about(ra=ra, dec=dec_deg)
        return as_series(LightCurve, curve["taustart_ts"], curve["tau_time"], described, about)

    def kept_photometry(self) -> Results:
        """Return the positions whose points the database keeps, the newest first.

        Examples
        --------
        >>> for row in dataset.kept_photometry():  # doctest: +SKIP
        ...     curve = dataset.photometry(row["ra"], row["decl"])
        """
        with self._read() as connection:
            columns = kept_positions(connection, self.number)
        return as_results(describe_positions(columns), self._about())


def measure_position(
    reader: Reader, dataset: int, place: tuple[float, float], *, keep: bool, progress: Progress | None = None
) -> Columns:
    """Measure a position in the images that have no point of it yet, in this process, and return all its points.

    Parameters
    ----------
    reader, dataset
        Database, and number of the dataset.
    place
        deg, ICRS — right ascension in [0, 360) and declination.
    keep
        Whether new points are stored in the database.
    progress
        Called with the number of images done, and of all.

    Returns
    -------
    Columns of :func:`trap.db.position_fits.join_points`.

    Raises
    ------
    DatabaseError, TransientError
        If the database cannot be read, or cannot be written although the points are to be kept.
    """
    with reader.read() as connection:
        images = images_at(connection, dataset, *place)
        kept = find_position(connection, dataset, *place)
        points = no_points() if kept is None else read_position(connection, kept)
    missing = missing_images(images, points)
    fitted = []
    for point in fit_images(SerialExecutor(), reader, dataset, place, missing):
        fitted.append(point)
        if progress is not None:
            progress(len(fitted), len(missing))
    new = points_of(fitted)
    if keep and (fitted or kept is None):
        keep_points(reader, dataset, place, new, is_complete=True)
    return join_points(images, merge_points(points, new))


def fit_image(reader: Reader, dataset: int, place: tuple[float, float], image: int) -> dict[str, Any]:
    """Measure a position in one image. The function is for worker processes, which keep the settings.

    Parameters
    ----------
    reader, dataset
        Database, and number of the dataset.
    place
        deg, ICRS — right ascension and declination.
    image
        Row number of the image.

    Returns
    -------
    The point, as :meth:`trap.results.position_fitting.PositionFitter.fit` returns it.

    Raises
    ------
    DatabaseError, TransientError
        If the database cannot be read.
    """
    from trap.results.position_fitting import PositionFitter  # compiled code, which no reader of results needs

    key = (str(reader), dataset, *place)
    if key not in _fitters:
        _fitters.clear()
        _fitters[key] = PositionFitter(reader, dataset, *place)
    point: dict[str, Any] = _fitters[key].fit(image)
    return point


def fit_images(
    executor: Executor,
    reader: Reader,
    dataset: int,
    place: tuple[float, float],
    images: NDArray[np.int64],
    *,
    is_cancelled: Callable[[], bool] = bool,
) -> Iterator[dict[str, Any]]:
    """Measure a position in images, and yield the points in their order.

    Parameters
    ----------
    executor
        Runs the fits; a worker that hangs or dies costs its image only.
    reader, dataset, place
        As for :func:`fit_image`.
    images
        (n,) — row numbers of the images.
    is_cancelled
        Called before each image; if it returns true, no more points come.

    Yields
    ------
    The points.

    Raises
    ------
    DatabaseError, TransientError
        If the database cannot be read, or no worker can be started.
    """
    waiting = deque(images.tolist())
    pending: deque[tuple[int, Any]] = deque()
    lost: set[int] = set()
    while (waiting or pending) and not is_cancelled():
        # One that runs in this process is run when it is submitted, so that its progress is seen.
        while waiting and len(pending) < (1 if isinstance(executor, SerialExecutor) else N_AHEAD):
            number = waiting.popleft()
            pending.append((number, executor.submit(fit_image, reader, dataset, place, number)))
        number, result = pending.popleft()
        try:
            yield result.result()
        except WorkerLostError as error:
            # The process ran another image, whose turn has come: this one is tried again.
            if not error.is_culprit and number not in lost:
                lost.add(number)
                waiting.appendleft(number)
                continue
            yield {"image": number, "reason": str(error).replace(fit_image.__name__, "the fit"), "is_read": False}


def merge_points(points: Columns, others: Columns) -> Columns:
    """Return points with others, which replace those of the same images.

    Parameters
    ----------
    points, others
        Columns of :func:`trap.db.position_fits.points_of`.
    """
    stays = ~np.isin(points["image"], others["image"])
    return {name: np.concatenate([points[name][stays], others[name]]) for name in points}
