"""Compare speed and accuracy of source finding with PySE, PyBDSF and Aegean on the same images in one run.

The images are made by tests/simulated_field.py: correlated noise, threefold in level, a gradient of the background,
point sources of S/N 5 to 1000. The uv of ``make`` installs each peer from PyPI into its own environment
under .cache/; if this fails, the peer is left out with a message. Times are the lowest of the repeats in a
warm process; on a shared machine only the ratios are meaningful.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from peer_environments import ROOT, installed
from scipy.spatial import cKDTree

sys.path.insert(0, str(ROOT / "tests"))

from simulated_field import Field, simulate_field

from trap.angles import offsets
from trap.config import SourceExtractionConfig
from trap.extraction.measure import extract_sources
from trap.images.image import Image

CACHE = ROOT / ".cache" / "source_finding"
PEERS = {
    "radio-pyse==0.7.1": ("pyse-moments", "pyse-fits", "pyse-deblended"),
    "bdsf==1.14.1": ("bdsf",),
    "AegeanTools==2.3.5": ("aegean",),
}
OURS = {"ours, beam-shaped": True, "ours, free": False}
PATIENCE_SECONDS = 900

Array = NDArray[np.float64]


def main(arguments: list[str] | None = None) -> None:
    """Measure all finders and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=3, help="fields of 1024² with 1,000 sources (default 3)")
    parser.add_argument("--large", action="store_true", help="also time a field of 4096² with 20,000 sources")
    parser.add_argument("--repeats", type=int, default=3, help="calls per image; the fastest counts (default 3)")
    parser.add_argument(
        "--reuse", action="store_true", help="use the results and times of peers from an earlier run, if kept"
    )
    parser.add_argument("--no-peers", action="store_true", help="measure this project only")
    options = parser.parse_args(arguments)
    CACHE.mkdir(parents=True, exist_ok=True)
    fields = [simulate_field(seed) for seed in range(options.fields)]
    paths = [_written(field, CACHE / f"field{seed}.fits") for seed, field in enumerate(fields)]
    results = {name: [_ours(path, force_beam, options.repeats) for path in paths] for name, force_beam in OURS.items()}
    for package, finders in {} if options.no_peers else PEERS.items():
        python = installed(package, CACHE)
        for finder in finders if python else ():
            found = [_peer(python, finder, path, reuse=options.reuse) for path in paths]
            results |= {finder: [one for one in found if one]} if all(found) else {}
    _print_accuracy(fields, results)
    if options.large:
        _time_large(options.repeats)


def _written(field: Field, path: Path) -> Path:
    header = field.image.header.copy()
    fits.PrimaryHDU(field.image.data[np.newaxis, np.newaxis], header).writeto(path, overwrite=True)
    return path


def _ours(path: Path, force_beam: bool, repeats: int) -> tuple[float, Array]:  # noqa: FBT001
    config = SourceExtractionConfig(
        detection_threshold=5, analysis_threshold=3, margin=0, extraction_radius_pix=0, force_beam=force_beam
    )
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        m = extract_sources(Image(path), config).measurements
        seconds.append(time.perf_counter() - start)
    ra_err = m.ew_fit_err / np.cos(np.radians(m.dec))
    columns = (m.ra, ra_err, m.dec, m.ns_fit_err, m.f_peak, m.f_peak_err, m.f_int, m.f_int_err)
    return min(seconds[1:]), np.column_stack(columns)


def _peer(python: Path | None, finder: str, path: Path, *, reuse: bool) -> tuple[float, Array] | None:
    result = CACHE / f"{finder}-{path.stem}.npz"
    if reuse and result.exists():
        with np.load(result) as archive:
            return float(archive["seconds"]), archive["table"]
    # The first call of PySE compiles for half a minute.
    repeats = "2" if finder.startswith("pyse") else "1"
    command = [str(python), str(Path(__file__).with_name("peers.py")), finder, str(path), str(result), repeats]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS, cwd=CACHE)  # noqa: S603
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{finder} left out: {str(getattr(error, 'stderr', '') or error).strip().splitlines()[-1:]}")
        return None
    with np.load(result) as archive:
        return float(archive["seconds"]), archive["table"]


def _print_accuracy(fields: list[Field], results: dict[str, list[tuple[float, Array]]]) -> None:
    """Print two tables, each value with its 1σ uncertainty, so that differences can be judged."""
    reference = min(seconds for seconds, _ in results["ours, beam-shaped"])
    judged = {
        name: [_judge(field, table) for field, (_, table) in zip(fields, found, strict=True)]
        for name, found in results.items()
    }
    print("\n| | s/image | ratio | found | reliable | blends separated |\n|---|---|---|---|---|---|")
    for name, one in judged.items():
        seconds = min(seconds for seconds, _ in results[name])
        found, true = (sum(field[key] for field in one) for key in ("n_found", "n_true"))
        split = np.concatenate([field["blends"] for field in one])
        parts = (_share(true, found, 4), _share(int(split.sum()), split.size, 2))
        print(f"| {name} | {seconds:.3f} | {seconds / reference:.1f} | {found} | {' | '.join(parts)} |")
    print("\npulls of isolated sources, (measured − true)/error: median / robust scatter")
    print("\n| | S/N | sources | east | peak | integrated |\n|---|---|---|---|---|---|")
    for name, one in judged.items():
        pulls = np.concatenate([field["pulls"] for field in one])
        for low, high in ((7, 20), (20, 100)):
            part = pulls[(pulls[:, 0] >= low) & (pulls[:, 0] < high), 1:]
            print(f"| {name} | {low}–{high} | {len(part)} | {' | '.join(_cell(column) for column in part.T)} |")


def _share(part: int, whole: int, digits: int) -> str:
    """Return a share and its uncertainty, which is not 0 for a share of 0 (Agresti & Coull 1998)."""
    middle = (part + 0.5) / (whole + 1)
    return f"{part / whole:.{digits}f} ± {np.sqrt(middle * (1 - middle) / (whole + 1)):.{digits}f}"


def _cell(pulls: Array) -> str:
    pulls = pulls[np.isfinite(pulls)]
    middle = np.median(pulls)
    scatter = 1.4826 * np.median(np.abs(pulls - middle))
    # For a normal distribution, the variance of the median is π/2 times the variance of the mean, and the variance of
    # the median deviation is 2.72 times the variance of the standard deviation, σ²/2n.
    errors = scatter / np.sqrt(pulls.size) * np.array([np.sqrt(np.pi / 2), np.sqrt(2.72 / 2)])
    return f"{middle:+.2f} ± {errors[0]:.2f} / {scatter:.2f} ± {errors[1]:.2f}"


def _judge(field: Field, table: Array) -> dict[str, Any]:
    """Compare measurements with the simulated sources."""
    table = table[np.isfinite(table[:, [0, 2]]).all(axis=1)]
    x, y = field.image.wcs.all_world2pix(table[:, 0], table[:, 2], 0)
    places, found = field.beam_plane(field.x, field.y), field.beam_plane(x, y)
    distance, row = cKDTree(found).query(places)
    good = (field.separation > 3) & (distance < 0.6)
    one = table[row[good]]
    ra, dec = field.image.wcs.all_pix2world(field.x[good], field.y[good], 0)
    east, _ = offsets(one[:, 0], one[:, 2], ra, dec)
    flux = field.flux[good]
    pulls = np.column_stack(
        [
            field.signal_to_noise[good],
            east / (one[:, 1] * np.cos(np.radians(dec))),
            (one[:, 4] - flux) / one[:, 5],
            (one[:, 6] - flux) / one[:, 7],
        ]
    )
    pairs = np.array(list(cKDTree(places).query_pairs(3.0)))
    apart = np.hypot(*(places[pairs[:, 0]] - places[pairs[:, 1]]).T)
    pairs = pairs[(apart > 1.2) & (field.signal_to_noise[pairs].min(axis=1) > 7)]
    split = (distance[pairs] < 0.6).all(axis=1) & (row[pairs[:, 0]] != row[pairs[:, 1]])
    n_true = int((cKDTree(places).query(found)[0] <= 1).sum())
    return {"pulls": pulls, "blends": split, "n_found": len(table), "n_true": n_true}


def _time_large(repeats: int) -> None:
    path = CACHE / "large.fits"
    if not path.exists():
        _written(simulate_field(0, size=4096, n_sources=20_000), path)
    # Run in a new process, to measure its peak memory.
    command = [sys.executable, __file__, "--worker", str(path), str(repeats)]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")  # noqa: S603


def _work_large(path: str, repeats: str) -> None:
    before = _peak_kilobytes()
    for name, force_beam in OURS.items():
        seconds, table = _ours(Path(path), force_beam, int(repeats))
        peak, size = _peak_kilobytes(), 4096**2 * 4 / 1024
        print(
            f"4096², {len(table)} found, {name}: {seconds:.2f} s; peak memory {peak / size:.1f} × the image,"
            f" {before / size:.1f} × before the image was read"
        )


def _peak_kilobytes() -> int:
    # The value of getrusage is inherited from the parent process, so it is not used.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _work_large(*sys.argv[2:])
    else:
        main()
