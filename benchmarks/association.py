"""Measure whether the cost of a timestep depends on how many came before, or on the size of the catalogue.

Association, light-curve statistics and the rows that are prepared for the database, on made-up
measurements: no images, no database. Prints times and their ratios; nothing is asserted.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Measurements
from trap.entries import LightCurveKey
from trap.images.skyregion import SkyRegion
from trap.running_catalogue import RunningCatalogue

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARCSEC = 1 / 3600
KEY = LightCurveKey(0, 1)
START = np.datetime64("2026-01-01T00:00:00", "us")
WHOLE_SKY = SkyRegion(centre_ra=0.0, centre_dec=0.0, xtr_radius=180.0)


class Sky:
    """Steady sources all over the sky, measured with errors of an arcsec."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self.ra = rng.uniform(0, 360, n)
        self.dec = np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, n)))

    def measure(self, rows: slice) -> Measurements:
        """Measure some sources once more."""
        n = len(self.ra[rows])
        return Measurements.of(
            x=np.zeros(n),
            y=0.0,
            ra=self.ra[rows] + self._scatter(n) / np.cos(np.radians(self.dec[rows])),
            dec=self.dec[rows] + self._scatter(n),
            ew_fit_err=ARCSEC,
            ns_fit_err=ARCSEC,
            f_peak=1.0 + 0.1 * self._rng.normal(size=n),
            f_peak_err=0.1,
            f_int=1.0 + 0.1 * self._rng.normal(size=n),
            f_int_err=0.1,
            rms=0.1,
            significance=10.0,
            semimajor=10.0,
            semiminor=10.0,
            pa=0.0,
        )

    def _scatter(self, n: int) -> NDArray[np.float64]:
        return self._rng.normal(size=n) * ARCSEC


def timestep(catalogue: RunningCatalogue, found: Measurements, number: int, region: SkyRegion | None) -> float:
    """Associate one image, and look for what it missed; returns the seconds that took."""
    taustart = START + np.timedelta64(number, "s")
    start = time.perf_counter()
    catalogue.begin_timestep()
    points = catalogue.associate(found, image=0, key=KEY, taustart=taustart, search_radius=30 * ARCSEC, max_radius=5.68)
    if region is not None:
        catalogue.null_detections(region, taustart=taustart, associated=points.entry, expiration=10)
    return time.perf_counter() - start


def run_long(n_sources: int, n_timesteps: int, rng: np.random.Generator) -> None:
    """Time a long run over few sources, from its beginning to its end."""
    sky, catalogue = Sky(n_sources, rng), RunningCatalogue()
    seconds = [timestep(catalogue, sky.measure(slice(None)), number, WHOLE_SKY) for number in range(n_timesteps)]
    share = max(1, min(500, (n_timesteps - 10) // 2))
    first, last = np.median(seconds[10 : 10 + share]), np.median(seconds[-share:])
    print(f"{n_sources} sources, {n_timesteps} timesteps: {sum(seconds):.1f} s in all")
    print(f"  median of the first {share} after ten: {first * 1e3:.2f} ms, of the last: {last * 1e3:.2f} ms")
    print(f"  ratio last / first: {last / first:.2f}")


def run_large(n_detections: int, n_entries: int, rng: np.random.Generator) -> None:
    """Time images of many sources against a much larger catalogue."""
    sky, catalogue = Sky(n_entries, rng), RunningCatalogue()
    timestep(catalogue, sky.measure(slice(None)), 0, None)
    region = SkyRegion(centre_ra=0.0, centre_dec=0.0, xtr_radius=5.0)
    seconds = [timestep(catalogue, sky.measure(slice(n_detections)), number, region) for number in range(1, 12)]
    print(f"{n_detections} detections against {len(catalogue)} entries")
    print(f"  first timestep: {seconds[0]:.3f} s, median of the ten after it: {np.median(seconds[1:]):.3f} s")


def main() -> None:
    """Read the arguments and run both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=1000, help="sources of the long run (%(default)s)")
    parser.add_argument("--timesteps", type=int, default=10_000, help="timesteps of the long run (%(default)s)")
    parser.add_argument("--detections", type=int, default=10_000, help="detections an image, large run (%(default)s)")
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the large run (%(default)s)")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    run_long(options.sources, options.timesteps, rng)
    run_large(options.detections, options.entries, rng)


if __name__ == "__main__":
    main()
