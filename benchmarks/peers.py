"""Run another source finder in its own environment on one image: ``python peers.py NAME IMAGE RESULT [repeats]``.

The result is a numpy archive of the measurements (columns as in :data:`COLUMNS`) and the seconds of the last call.
The configuration of each finder is described in docs/method/accuracy.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

COLUMNS = ("ra", "ra_err", "dec", "dec_err", "f_peak", "f_peak_err", "f_int", "f_int_err")
"""Columns in deg, Jy/beam and Jy; ``ra_err`` is the error of the coordinate, not multiplied by cos(dec)."""

Rows = list[tuple[float, ...]]


def pyse(path: str, *, vectorized: bool, deblend: bool = False) -> Rows:
    """Run PySE: moments of all islands at once, or a Gaussian fit of each; 5 and 3 σ, cells of 50 pixels."""
    from sourcefinder.accessors import open as open_image  # noqa: PLC0415
    from sourcefinder.accessors import sourcefinder_image_from_accessor  # noqa: PLC0415
    from sourcefinder.config import Conf, ExportSettings, ImgConf  # noqa: PLC0415

    settings = ImgConf(
        detection_thr=5.0,
        analysis_thr=3.0,
        back_size_x=50,
        back_size_y=50,
        vectorized=vectorized,
        deblend_nthresh=32 if deblend else 0,
    )
    conf = Conf(image=settings, export=ExportSettings())
    found = sourcefinder_image_from_accessor(open_image(path), conf=conf).extract()
    if hasattr(found, "columns") and len(found.columns) and str(found.columns[0]).startswith("SourceParams"):
        table = {str(name).split(".")[-1]: np.asarray(found[name], float) for name in found.columns}
    else:
        from sourcefinder.utility.sourceparams import SourceParams  # noqa: PLC0415

        values = np.asarray(found, float)
        table = {str(item).split(".")[-1]: values[:, i] for i, item in enumerate(SourceParams)}
    names = ("RA", "RA_ERR", "DEC", "DEC_ERR", "PEAK", "PEAK_ERR", "FLUX", "FLUX_ERR")
    return list(zip(*(table[name].tolist() for name in names), strict=True))


def bdsf(path: str) -> Rows:
    """Run PyBDSF: 5 and 3 σ, noise in boxes of 50 pixels every 25, its Gaussians, one core."""
    import bdsf as package  # noqa: PLC0415

    image = package.process_image(
        path, thresh_pix=5.0, thresh_isl=3.0, rms_box=(50, 25), ncores=1, quiet=True, frequency=1.4e9
    )
    return [
        (
            *(value for pair in zip(g.centre_sky, g.centre_skyE, strict=True) for value in pair),
            *(g.peak_flux, g.peak_fluxE, g.total_flux, g.total_fluxE),
        )
        for g in image.gaussians
    ]


def aegean(path: str) -> Rows:
    """Run Aegean: 5 and 3 σ, its own background and noise, fits with the covariance of the noise, one core."""
    from AegeanTools.source_finder import SourceFinder  # noqa: PLC0415

    found = SourceFinder().find_sources_in_image(
        path, innerclip=5, outerclip=3, cores=1, docov=True, nonegative=True, progress=False, cube_index=0
    )
    return [(s.ra, s.err_ra, s.dec, s.err_dec, s.peak_flux, s.err_peak_flux, s.int_flux, s.err_int_flux) for s in found]


FINDERS: dict[str, Callable[[str], Rows]] = {
    "pyse-moments": lambda path: pyse(path, vectorized=True),
    "pyse-fits": lambda path: pyse(path, vectorized=False),
    "pyse-deblended": lambda path: pyse(path, vectorized=False, deblend=True),
    "bdsf": bdsf,
    "aegean": aegean,
}


def main(name: str, path: str, result: str, repeats: str = "1") -> None:
    """Run one finder and write its measurements."""
    seconds, rows = np.inf, []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        rows = FINDERS[name](path)
        seconds = time.perf_counter() - start
    np.savez(result, seconds=seconds, table=np.array(rows, float).reshape(-1, len(COLUMNS)))


if __name__ == "__main__":
    main(*sys.argv[1:])
