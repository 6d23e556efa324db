"""Compare the calibration of simulated series with their truth for many seeds, and measure what it costs.

``truth`` prints for each seed the pulls of gains and shifts, the agreement of η of steady sources with χ², and the
modulation of the variables. ``cost`` runs one series with and without the calibration in turn, and prints the ratio.
"""

from __future__ import annotations

import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kstest
from sqlalchemy import create_engine, text

from trap.config import PipelineConfig
from trap.db.calibrations import calibrations
from trap.log import configure_logging
from trap.pipeline import run_locally
from trap.simulation.comparison import nearest
from trap.simulation.survey import Survey, SurveyConfig, simulate_survey

OFF = {"positions": "off", "flux_scale": "off"}
ENTRIES = (
    "SELECT r.wm_ra, r.wm_decl, v.eta_int, v.eta_p_value, v.f_datapoints, v.modulation"
    " FROM runningcatalog r JOIN varmetric v ON v.runcat = r.id"
)


def simulate(folder: Path, seed: int, arguments: Namespace) -> Survey:
    """Simulate a series with wrong gains and shifts."""
    config = SurveyConfig(
        seed=seed, n_timesteps=arguments.timesteps, n_bands=1, size=1024, pixel_scale_arcsec=2.0,
        beam_fwhm_pix=arguments.beam_pixels, n_steady=1000, steady_sigma=(arguments.faintest, 1000.0), n_variables=20,
        n_transients=0, gain_scatter=arguments.gain_scatter, shift_arcsec=arguments.shift,
    )  # fmt: skip
    return simulate_survey(folder, config)


def run(survey: Survey, name: str, **calibration: str) -> tuple[float, Path]:
    """Run the pipeline over a series; return the seconds and the database."""
    database = survey.directory / f"{name}.db"
    for file in survey.directory.glob(f"{name}.db*"):
        file.unlink()
    execution = {"images": tuple(map(str, survey.images)), "database": f"sqlite:///{database}", "n_workers": 2}
    start = time.perf_counter()
    run_locally(PipelineConfig().with_options(execution=execution, calibration=calibration))
    return time.perf_counter() - start, database


def results(database: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Return the calibrations, and the entries with their metrics."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        entries = np.array(connection.execute(text(ENTRIES)).all(), float)
        return calibrations(connection, 1), entries


def judge(survey: Survey, database: Path) -> str:
    """Compare the results of a run with the truth, in one line."""
    found, entries = results(database)
    truth, sources = survey.truth.images, survey.truth.sources
    gain, true_gain = found["gain"] / found["gain"].mean(), truth["gain"] / truth["gain"].mean()
    pulls = [(gain - true_gain) / (found["gain_err"] / found["gain"].mean())]
    for name in ("shift_ew", "shift_ns"):
        difference = found[name] - found[name].mean() - (truth[name] - truth[name].mean())
        pulls.append(difference / found[f"{name}_err"])
    row = nearest(entries[:, 0], entries[:, 1], np.array(sources["ra"]), np.array(sources["dec"]), radius=5 / 3600)
    kind = np.where(row >= 0, np.array(sources["kind"])[row], "none")
    steady = entries[(kind == "steady") & (entries[:, 4] == len(survey.images))]
    variable = kind == "variable"
    modulation = np.mean(entries[variable, 5] / np.array(sources["modulation"])[row[variable]])
    columns = [f"{np.mean(values):+.2f} ± {np.std(values):.2f}" for values in pulls]
    p_value = kstest(steady[:, 3], "uniform").pvalue
    return (
        f"{'  '.join(columns)}   η {np.median(steady[:, 2]):.3f} KS p {p_value:.4f} least p {steady[:, 3].min():.1e}"
        f"  modulation {modulation:.4f}  corrected {int(found['flux_applied'].sum())} of {len(survey.images)}"
    )


def compare_with_truth(arguments: Namespace) -> None:
    """Print a line for each seed."""
    print("seed  pull of the gain, of the shift east and north   η of steady sources  modulation over its truth")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            survey = simulate(Path(folder), seed, arguments)
            _, database = run(survey, "calibrated")
            print(f"{seed:4}  {judge(survey, database)}", flush=True)


def measure_cost(arguments: Namespace) -> None:
    """Print the seconds of a run with and without the calibration, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        survey = simulate(Path(folder), arguments.first, arguments)
        run(survey, "warm")
        pairs = []
        for _ in range(arguments.repeats):
            pairs.append((run(survey, "on")[0], run(survey, "off", **OFF)[0]))
            print(f"{pairs[-1][0]:.2f} s with, {pairs[-1][1]:.2f} s without", flush=True)
    ratio = np.array([on / off for on, off in pairs])
    print(f"ratio {np.median(ratio):.3f}, from {ratio.min():.3f} to {ratio.max():.3f}")


def main() -> None:
    """Run one of the two comparisons."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["truth", "cost"])
    parser.add_argument("--first", type=int, default=1, help="first seed (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="number of pairs of runs (%(default)s)")
    parser.add_argument("--timesteps", type=int, default=60, help="number of images (%(default)s)")
    parser.add_argument("--gain-scatter", type=float, default=0.1, help="scatter of the gains (%(default)s)")
    parser.add_argument("--shift", type=float, default=2.0, help="shift along each axis, arcsec (%(default)s)")
    parser.add_argument("--faintest", type=float, default=10.0, help="faintest steady source, in sigma (%(default)s)")
    parser.add_argument("--beam-pixels", type=float, default=4.5, help="width of the beam, in pixels (%(default)s)")
    arguments = parser.parse_args()
    configure_logging(quiet=True)
    (compare_with_truth if arguments.what == "truth" else measure_cost)(arguments)


if __name__ == "__main__":
    main()
