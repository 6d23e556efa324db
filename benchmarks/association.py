"""Measure whether the cost of a timestep depends on the timesteps before it, and compare it with TraP R7 in one run.

The cost comprises association, light-curve statistics, metrics and the rows for the database. Measurements are
made up; there are neither images nor a database. The uv of ``make`` installs TraP R7 from PyPI into its own
environment under .cache/. If this fails, TraP R7 is left out with a message. Nothing is asserted; on a shared machine
only the ratios are meaningful.
"""

from __future__ import annotations

import argparse
import subprocess
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from peer_environments import ROOT, installed

from trap.association.entries import LightCurveKey
from trap.association.hypotheses import ImageLimits
from trap.association.running_catalogue import RunningCatalogue
from trap.catalogues import AssociationType, Measurements
from trap.config import PipelineConfig
from trap.dataset.records import ImageResult, StoredIds, TimestepRecord
from trap.dataset.state import DatasetState
from trap.images.beam import Beam
from trap.images.image import ImageMetadata
from trap.images.skyregion import SkyRegion
from trap.steps import association, forced_fitting, joint_photometry, varmetric

CACHE = ROOT / ".cache" / "association"
ARCSEC = 1 / 3600
KEY = LightCurveKey(0, 1)
START = datetime(2026, 1, 1, tzinfo=UTC)
RADIUS = 5.0
PIXEL = 3 * ARCSEC
CONFIG = PipelineConfig().with_options(
    source_extraction={"extraction_radius_pix": RADIUS / PIXEL, "ew_sys_err": 0.0, "ns_sys_err": 0.0}
)


class Sky:
    """Steady sources in a field or all over the sky, measured with errors of an arcsec."""

    def __init__(self, n: int, rng: np.random.Generator, *, whole: bool) -> None:
        self._rng = rng
        reach = 180.0 if whole else RADIUS / 2
        self.ra = rng.uniform(-reach, reach, n) % 360
        self.dec = np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, n))) if whole else rng.uniform(-reach, reach, n)

    def measure(self, rows: slice = slice(None)) -> Measurements:
        """Measure some sources once more."""
        n = len(self.ra[rows])
        flux = 1.0 + 0.1 * self._rng.normal(size=n)
        return Measurements.of(
            x=np.zeros(n),
            y=0.0,
            ra=self.ra[rows] + self._scatter(n) / np.cos(np.radians(self.dec[rows])),
            dec=self.dec[rows] + self._scatter(n),
            ew_fit_err=ARCSEC,
            ns_fit_err=ARCSEC,
            f_peak=flux,
            f_peak_err=0.1,
            f_int=flux,
            f_int_err=0.1,
            rms=0.1,
            significance=10.0,
            semimajor=10.0,
            semiminor=10.0,
            pa=0.0,
            island=np.arange(1, n + 1),
        )

    def _scatter(self, n: int) -> NDArray[np.float64]:
        return self._rng.normal(size=n) * ARCSEC


class Run:
    """Timesteps of one image each, which pass all stages after the blind search except the forced fits."""

    def __init__(self) -> None:
        self.state = DatasetState(config=CONFIG)
        self._n = 0

    def timestep(self, found: Measurements, *, offset: float = 0.0) -> float:
        """Associate one image, whose pointing is ``offset`` deg from the field's centre; return the seconds."""
        result = _image(self._n, found, offset)
        self._n += 1
        start = time.perf_counter()
        state = self.state
        (image,) = association.associate_extracted_sources(state, [result])
        asked = forced_fitting.get_forced_fit_requests(image, state)
        fits = found.take(np.zeros(len(asked), int)).with_columns(ra=asked.ra, dec=asked.dec, extract_type=asked.kind)
        refused = joint_photometry.refused_components(image, asked, fits, 5.0)
        stays = np.append(~refused, np.ones(len(asked) - len(refused), bool))
        image = joint_photometry.without_components(image, refused)
        images = joint_photometry.create_confirmed(state, [image])
        images = forced_fitting.insert_and_associate_forced_fits(state, images, [asked.take(stays)], [fits.take(stays)])
        changes = state.catalogue.changes
        record = TimestepRecord(
            taustart_ts=result.metadata.taustart_ts,
            images=images,
            unreadable=(),
            changes=changes,
            links=state.region_links(images),
            metrics=varmetric.summarise_touched(state, images),
        )
        ids = np.arange(changes.n_before + 1, len(state.catalogue) + 1)
        bands, regions = (tuple(range(len(known))) for known in (state.bands, state.regions))
        state.commit(record, StoredIds(images=(self._n,), entries=ids, bands=bands, regions=regions))
        return time.perf_counter() - start


def _image(number: int, found: Measurements, offset: float) -> ImageResult:
    metadata = ImageMetadata(
        url=str(number),
        taustart_ts=START + timedelta(seconds=number),
        tau_time=1.0,
        freq_eff=1e9,
        freq_bw=1e8,
        stokes=1,
        telescope="",
        beam=Beam(bmaj=20 * ARCSEC, bmin=20 * ARCSEC, bpa=0.0),
        centre_ra=offset,
        centre_dec=0.0,
        deltax=-PIXEL,
        deltay=PIXEL,
        nx=4096,
        ny=4096,
        unit="Jy/beam",
    )
    return ImageResult(
        metadata=metadata,
        content_hash=str(number),
        rms_qc=0.1,
        rejection=None,
        measurements=found,
        background=None,
        rms_min=0.1,
        rms_max=0.1,
    )


def run_long(n_sources: int, n_timesteps: int, rng: np.random.Generator) -> None:
    """Compare the times of the first and the last timesteps of a long run over few sources."""
    sky, run = Sky(n_sources, rng, whole=False), Run()
    seconds = [run.timestep(sky.measure()) for _ in range(n_timesteps)]
    share = max(1, min(500, (n_timesteps - 10) // 2))
    first, last = np.median(seconds[10 : 10 + share]), np.median(seconds[-share:])
    print(f"{n_sources} sources, {n_timesteps} timesteps: {sum(seconds):.1f} s in all")
    print(f"  median of the first {share} after ten: {first * 1e3:.2f} ms, of the last: {last * 1e3:.2f} ms")
    print(f"  ratio last / first: {last / first:.2f}")


def run_pointings(n_sources: int, n_timesteps: int, rng: np.random.Generator) -> None:
    """Compare the times of jittering and drifting pointings with a fixed pointing."""
    sky, medians = Sky(n_sources, rng, whole=False), {}
    jitter = rng.uniform(0, 0.02 * RADIUS, n_timesteps)
    for name, offsets in {
        "fixed": np.zeros(n_timesteps),
        "jittering": jitter,
        "drifting": np.linspace(0, 0.4 * RADIUS, n_timesteps),
    }.items():
        run = Run()
        seconds = [run.timestep(sky.measure(), offset=float(offset)) for offset in offsets]
        medians[name] = np.median(seconds[10:])
        ratio = medians[name] / medians["fixed"]
        print(f"{name} pointing: {len(run.state.regions)} regions, a timestep {ratio:.2f} of a fixed one's")


def run_large(n_detections: int, n_entries: int, rng: np.random.Generator) -> None:
    """Time images of many sources against a much larger catalogue, and measure its memory."""
    sky = Sky(n_entries, rng, whole=True)
    found, taustart = sky.measure(), np.datetime64("2026-01-01T00:00:00", "us")
    region = SkyRegion(centre_ra=0.0, centre_dec=0.0, xtr_radius=5.0)
    tracemalloc.start()
    catalogue = RunningCatalogue()
    limits = ImageLimits(resolution=20 * ARCSEC, threshold=5.0)
    settings: dict[str, Any] = {"image": 0, "key": KEY, "search_radius": 30 * ARCSEC, "max_radius": 5.68}
    settings |= {"limits": limits, "method": CONFIG.association.method}
    catalogue.begin_timestep()
    catalogue.associate(found, taustart=taustart, **settings)
    del found
    # The first timestep's changes, which a run would store, are discarded here.
    catalogue.begin_timestep()
    catalogue.within(region)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seconds = []
    for number in range(11):
        measured, later = sky.measure(slice(n_detections)), taustart + np.timedelta64(number + 1, "s")
        start = time.perf_counter()
        catalogue.begin_timestep()
        points = catalogue.associate(measured, taustart=later, **settings).points
        catalogue.null_detections(region, taustart=later, associated=points.entry, expiration=10)
        seconds.append(time.perf_counter() - start)
        assert (points.type == AssociationType.ONE_TO_ONE).mean() > 0.99  # noqa: S101 (the timed work was done)
    print(f"{n_detections} detections against {len(catalogue)} entries, {size / len(catalogue):.0f} bytes each")
    print(f"  first timestep: {seconds[0]:.3f} s, median of the ten after it: {np.median(seconds[1:]):.3f} s")


def run_beside(n_sources: int, n_images: int, n_peer: int, rng: np.random.Generator) -> None:
    """Time the same source lists in this project and in TraP R7."""
    sky, run = Sky(n_sources, rng, whole=False), Run()
    images = [sky.measure() for _ in range(n_images)]
    seconds = [run.timestep(image) for image in images]
    eta = np.median(run.state.catalogue.fluxes(KEY)["wm2_f_int"]) / (n_images - 1)
    print(f"{n_images} images of {n_sources} sources: ours {sum(seconds):.2f} s, median η {eta:.3f}")
    peer = _peer(images[:n_peer])
    if peer is not None:
        each, ours = peer[0] / n_peer, sum(seconds) / n_images
        print(f"  TraP R7, the first {n_peer}: {peer[0]:.1f} s, {peer[1]:.0f} sources, median η {peer[2]:.3f}")
        print(f"  an image: {each * 1e3:.0f} ms there, {ours * 1e3:.2f} ms here, ratio {each / ours:.0f}")


def _peer(images: list[Measurements]) -> list[float] | None:
    python = installed("trap==1.4.0", CACHE)
    if python is None:
        return None
    names = {
        **{name: name for name in ("ra", "dec", "uncertainty_ns", "uncertainty_ew")},
        "int_flux": "f_int",
        "int_flux_err": "f_int_err",
        "peak_flux": "f_peak",
        "peak_flux_err": "f_peak_err",
        "ra_fit_err": "ew_fit_err",
        "dec_fit_err": "ns_fit_err",
    }
    path = CACHE / "lists.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{theirs: np.array([getattr(image, ours) for image in images]) for theirs, ours in names.items()})
    command = [str(python), str(Path(__file__).with_name("association_peer.py")), str(path), str(len(images))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CACHE)  # noqa: S603
    if done.returncode:
        print(f"TraP R7 left out: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return [float(number) for number in done.stdout.split()[-3:]]


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=1000, help="sources of the long run (%(default)s)")
    parser.add_argument("--timesteps", type=int, default=10_000, help="timesteps of the long run (%(default)s)")
    parser.add_argument(
        "--pointings", type=int, default=900, help="images of each pointing: fixed, jittering, drifting (%(default)s)"
    )
    parser.add_argument(
        "--detections", type=int, default=10_000, help="detections per image of the large run (%(default)s)"
    )
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the large run (%(default)s)")
    parser.add_argument("--images", type=int, default=400, help="images of the comparison with TraP R7 (%(default)s)")
    parser.add_argument(
        "--peer-images", type=int, default=400, help="number of these images that TraP R7 processes (%(default)s)"
    )
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    rng = np.random.default_rng(1)
    run_beside(options.sources, options.images, options.peer_images, rng)
    run_large(options.detections, options.entries, rng)
    run_pointings(options.sources, options.pointings, rng)
    run_long(options.sources, options.timesteps, rng)


if __name__ == "__main__":
    main()
