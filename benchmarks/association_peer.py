"""Run TraP R7's association and metrics on the source lists of association.py, in TraP R7's environment."""

from __future__ import annotations

import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
from trap.post_processing import update_varmetrics_iterative

from trap.run import update_source_list

warnings.simplefilter("ignore")
# TraP R7 requests the pixels of undetected sources; here every source is inside the image.
WCS = SimpleNamespace(world_to_pixel_values=lambda ra, dec: (0 * ra, 0 * dec))
IMAGE = SimpleNamespace(wcs=SimpleNamespace(wcs=WCS))


def main(path: str, n_images: int) -> None:
    """Associate the first images of the file, and print the seconds, the number of sources and the median η."""
    with np.load(path) as archive:
        columns = {name: archive[name] for name in archive.files}
    tables = [
        pd.DataFrame({name: values[image] for name, values in columns.items()})
        for image in range(min(n_images, len(columns["ra"])))
    ]
    sources, metrics, n_extracted = pd.DataFrame({}), None, 0
    start = time.perf_counter()
    for number, table in enumerate(tables):
        sources, _, extracted, n_extracted = update_source_list(
            n_extracted, IMAGE, number, sources, table, rejected=False, max_nr_consecutive_force_fits=10
        )
        meta = {"freq_band": 0, "taustart_ts": pd.Timestamp("2026-01-01") + pd.Timedelta(seconds=number)}
        metrics = update_varmetrics_iterative(metrics, sources, extracted, number, meta)
    print(time.perf_counter() - start, len(sources), float(np.nanmedian(metrics["eta_int"])))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
