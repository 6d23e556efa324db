"""Compare light curves and candidates of crowded, noisy and artefact-ridden fields with their truth, for many seeds.

``crowded``   transients at 0.7 to 2 beams from steady sources: found, false candidates, purity and wholeness.
``pairs``     light curves of close pairs, of which some have a member that doubles.
``on-top``    transients at 0.3 beams from steady sources, which these must show as variables.
``noise``     images without sources: candidates, and the number of noise peaks against the expected one.
``sidelobes`` transients around a source of 10⁴ sigma with sidelobes: their ranks among the candidates.
``cost``      seconds of a series in this checkout and in another one, in turn.

Each of the first five prints a line per seed and a line that sums them up. The pipeline runs with its defaults, and
without Prefect. ``trap/simulation/ownership.py`` defines purity and wholeness.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.stats import kstest
from sqlalchemy import create_engine, text

from trap.angles import displacement, move, separation
from trap.association.noise_peaks import SearchedArea, noise_peaks
from trap.config import PipelineConfig
from trap.db.lightcurves import transients
from trap.log import configure_logging
from trap.pipeline import run_locally
from trap.simulation.comparison import nearest
from trap.simulation.ownership import LightCurvePoints, Ownership, TrueSources, own_points
from trap.simulation.survey import Survey, SurveyConfig, simulate_survey

Columns = dict[str, NDArray[Any]]

POINTS = (
    "SELECT a.runcat, a.xtrsrc, i.url, x.ra, x.decl, x.uncertainty_ew, x.uncertainty_ns, x.f_int, x.f_int_err,"
    " x.extract_type FROM assocxtrsource a JOIN extractedsource x ON x.id = a.xtrsrc JOIN image i ON i.id = x.image"
    " ORDER BY a.runcat, i.taustart_ts"
)
METRICS = "SELECT runcat, eta_p_value, eta_int, f_datapoints FROM varmetric"
AREA = "SELECT SUM(n_pixels), SUM(n_beams) FROM image"
PEAKS = "SELECT det_sigma FROM extractedsource WHERE extract_type = 0"
BLIND = 0
VARIABLE_P = 1e-6
"""Probability of η below which an entry counts as variable here."""
WHOLE_SIGMA = 7.0
"""S/N of a source above which its points count for wholeness."""
MATCH = 0.5
"""Largest distance of a candidate from its source, in beam widths."""
N_STEADY = {"crowded": 1500, "on-top": 400, "sidelobes": 400, "cost": 1000}
"""Number of steady sources of the fields."""
BEAMS = {
    "default": (2.0, 9.0, 7.0, 20.0), "lofar": (1.5, 6.0, 6.0, 0.0), "long": (2.0, 14.0, 7.0, -35.0),
    "wide": (240.0, 1100.0, 900.0, 40.0),
}  # fmt: skip
"""Pixel scale, beam widths (arcsec) and position angle (deg) of the fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A simulated survey, its true sources in the frame of the catalogue, and the results of the pipeline."""

    survey: Survey
    table: Table
    beam: float
    points: Columns
    ownership: Ownership
    metrics: Columns
    candidates: Columns
    peaks: NDArray[np.float64]
    searched: SearchedArea

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.survey.images)

    @property
    def sources(self) -> Columns:
        """Columns of the true sources, with their S/N in the single band and the row of their neighbour."""
        columns = {name: np.array(self.table[name]) for name in self.table.colnames}
        rows = {name: row for row, name in enumerate(columns["name"])}
        neighbour = np.array([rows.get(name, -1) for name in columns["neighbour"]], int)
        return {**columns, "max_snr": columns["max_snr"].reshape(-1), "neighbour_row": neighbour}

    @property
    def snr(self) -> NDArray[np.float64]:
        """(n_sources, n_images) — true S/N."""
        return np.array(self.survey.truth.lightcurves["snr"]).reshape(-1, self.n_images)

    @property
    def metric(self) -> NDArray[np.float64]:
        """(n_sources,) — probability of η of the main entry of each source; NaN without an entry."""
        entries = self.ownership.entries
        by_entry = dict(zip(self.metrics["runcat"], self.metrics["eta_p_value"].astype(float), strict=True))
        main = self.ownership.main_entry
        return np.array([by_entry.get(entries[row], np.nan) if row >= 0 else np.nan for row in main])

    def source_of(self, candidates: Columns) -> NDArray[np.intp]:
        """Return the true source at each candidate, that is, the nearest one that is on; -1 without one."""
        sources, found = self.sources, np.full(len(candidates["image"]), -1)
        for row, timestep in enumerate(candidates["timestep"]):
            on = np.flatnonzero(self.snr[:, timestep] > 0)
            if on.size:
                at = candidates["ra"][row], candidates["dec"][row]
                distance = separation(*at, sources["ra"][on], sources["dec"][on])
                if distance.min() <= MATCH * self.beam:
                    found[row] = on[distance.argmin()]
        return found


def process(config: SurveyConfig, folder: Path, **options: dict[str, Any]) -> Result:
    """Simulate a survey in a folder, run the pipeline with its defaults, and read the results."""
    survey = simulate_survey(folder, config)
    for file in folder.glob("out.db*"):
        file.unlink()
    url = f"sqlite:///{folder / 'out.db'}"
    execution = {"images": tuple(map(str, survey.images)), "database": url, "n_workers": 2}
    run_locally(PipelineConfig().with_options(execution=execution, **options))
    with create_engine(url).connect() as connection:
        points, metrics = (_columns(connection.execute(text(query))) for query in (POINTS, METRICS))
        peaks = np.array(connection.execute(text(PEAKS)).all(), float).reshape(-1)
        n_pixels, n_beams = connection.execute(text(AREA)).one()
        candidates: Columns = dict(transients(connection, 1))
        candidates |= _positions(connection, candidates["xtrsrc"])
    beam = np.sqrt(config.beam.bmaj * config.beam.bmin)
    points["image_row"], candidates["timestep"] = (_timesteps(found["url"]) for found in (points, candidates))
    if "score" in candidates:
        order = np.argsort(-candidates["score"].astype(float), kind="stable")
        candidates = {name: values[order] for name, values in candidates.items()}
    table = _in_frame(survey.truth.sources, points, beam)
    ownership = _owners(survey, table, points, beam)
    return Result(
        survey=survey, table=table, beam=beam, points=points, ownership=ownership, metrics=metrics,
        candidates=candidates, peaks=peaks, searched=SearchedArea(n_pixels=n_pixels, n_beams=n_beams),
    )  # fmt: skip


def _columns(rows: Any) -> Columns:  # noqa: ANN401 (a result of SQLAlchemy)
    """Read the rows of a query into columns; NULL becomes NaN."""
    names, values = list(rows.keys()), rows.all()
    columns = {name: [row[i] for row in values] for i, name in enumerate(names)}
    return {
        name: np.array([np.nan if value is None else value for value in column]) for name, column in columns.items()
    }


def _positions(connection: Any, measurements: NDArray[Any]) -> Columns:  # noqa: ANN401 (a connection of SQLAlchemy)
    """Return the positions of the measurements of candidates."""
    found = connection.execute(text("SELECT id, ra, decl FROM extractedsource")).all()
    places = {number: (ra, dec) for number, ra, dec in found}
    ra_dec = np.array([places[int(number)] for number in measurements], float).reshape(-1, 2)
    return {"ra": ra_dec[:, 0], "dec": ra_dec[:, 1]}


def _timesteps(urls: Iterable[str]) -> NDArray[np.intp]:
    """Return the timesteps of images from their names, such as t0012_b00.fits."""
    return np.array([int(Path(url).name[1:5]) for url in urls], int)


def _in_frame(sources: Table, points: Columns, beam: float) -> Table:
    """Move the true sources into the frame of the catalogue, which has the shift of its first image."""
    bright = points["f_int"].astype(float) > 15 * points["f_int_err"].astype(float)
    ra, dec = points["ra"][bright].astype(float), points["decl"][bright].astype(float)
    row = nearest(ra, dec, np.array(sources["ra"]), np.array(sources["dec"]), radius=beam)
    if not np.any(row >= 0):
        return sources
    ra, dec, row = (values[row >= 0] for values in (ra, dec, row))
    offsets = displacement(ra, dec, np.array(sources["ra"])[row], np.array(sources["dec"])[row])
    moved = sources.copy()
    moved["ra"], moved["dec"] = move(sources["ra"], sources["dec"], *(np.median(offset) for offset in offsets))
    return moved


def _owners(survey: Survey, sources: Table, points: Columns, beam: float) -> Ownership:
    """Assign the points of light curves to the true sources."""
    flux = np.array(survey.truth.lightcurves["flux"]).reshape(-1, len(survey.images))
    truth = TrueSources(ra=np.array(sources["ra"]), dec=np.array(sources["dec"]), flux=flux, beam=beam)
    error = np.hypot(*(np.nan_to_num(points[name].astype(float)) for name in ("uncertainty_ew", "uncertainty_ns")))
    # A forced fit without a flux density shows nothing.
    flux_error = np.where(points["f_int_err"] > 0, points["f_int_err"].astype(float), np.inf)
    measured = LightCurvePoints(
        entry=points["runcat"], image=points["image_row"], ra=points["ra"], dec=points["decl"],
        position_error=error / np.sqrt(2), flux=points["f_int"].astype(float), flux_error=flux_error,
    )  # fmt: skip
    return own_points(measured, truth)


def grades(candidates: Columns) -> NDArray[Any]:
    """Return the grade of each candidate, 'likely' or 'possible'."""
    if "grade" in candidates:
        return np.array([str(grade) for grade in candidates["grade"]])
    return np.where(candidates["newsource_type"].astype(int) == 1, "likely", "possible")


def false_candidates(result: Result) -> tuple[Columns, NDArray[np.intp], NDArray[np.bool_]]:
    """Return the candidates, the true source of each, and which are false: all but transients."""
    source = result.source_of(result.candidates)
    kind = np.append(result.sources["kind"], "none")
    return result.candidates, source, kind[source] != "transient"


def crowded(seed: int, folder: Path, arguments: Namespace) -> Columns:
    """Measure a crowded field."""
    config = field(
        arguments, seed, n_steady=arguments.sources, n_transients=20, transient_sigma=(10.0, 100.0),
        transient_distance_beams=(0.7, 2.0), min_separation_beams=0.7, shift_arcsec=arguments.jitter,
    )  # fmt: skip
    result = process(config, folder)
    sources, ownership = result.sources, result.ownership
    candidates, source, is_false = false_candidates(result)
    row = np.flatnonzero(sources["kind"] == "transient")
    timely = source[candidates["timestep"] == sources["first_timestep"][source]] if len(source) else source
    distance = sources["neighbour_distance"][row] / (3600 * result.beam)
    if arguments.verbose:
        _print_crowded(result, row, distance)
    likely = grades(candidates) == "likely"
    # S/N of the brighter owner of each point.
    snr = result.snr[ownership.of_point, result.points["image_row"][:, np.newaxis]]
    bright = np.where(ownership.of_point >= 0, snr, 0).max(axis=1) >= WHOLE_SIGMA
    p_value = result.metric
    steady = sources["kind"] == "steady"
    measured = (ownership.main_entry[ownership.of_point[:, 1]] >= 0) & ownership.in_main & bright
    n_bright = np.count_nonzero(result.snr >= WHOLE_SIGMA)
    shown = np.unique(np.column_stack([ownership.of_point[measured, 1], result.points["image_row"][measured]]), axis=0)
    return {
        "close": np.isin(row[distance < 1], timely), "apart": np.isin(row[distance >= 1], timely),
        "late": np.isin(row, source[~is_false]) & ~np.isin(row, timely),
        "false_likely": np.array(np.count_nonzero(is_false & likely)),
        "false_possible": np.array(np.count_nonzero(is_false & ~likely)),
        "foreign": ownership.is_foreign[ownership.of_point[:, 1] >= 0],
        "foreign_bright": ownership.is_foreign[bright],
        "broken": ~ownership.in_main[bright & ownership.is_single],
        "missing": np.array([n_bright - len(shown), n_bright]),
        "varying": np.array(np.count_nonzero(p_value[steady] < VARIABLE_P)),
        "p_value": p_value[steady & (sources["max_snr"] > WHOLE_SIGMA) & np.isfinite(p_value)],
    }  # fmt: skip


def _print_crowded(result: Result, row: NDArray[np.intp], distance: NDArray[np.float64]) -> None:
    """Print the transients that were missed, the false candidates, the steady sources that vary, and mixed entries."""
    sources, ownership = result.sources, result.ownership
    candidates, source, is_false = false_candidates(result)
    for number, beams in zip(row, distance, strict=True):
        when = candidates["timestep"][source == number]
        if not len(when) or when.min() > sources["first_timestep"][number]:
            print(
                f"  missed: {sources['name'][number]} {sources['max_snr'][number]:.1f} sigma at {beams:.2f} beams from "
                f"{sources['max_snr'][sources['neighbour_row'][number]]:.1f} sigma, {sources['shape'][number]}, "
                f"{sources['ra'][number]:.5f} {sources['dec'][number]:.5f} at "
                f"{sources['first_timestep'][number]}, found at {when.tolist()}"
            )
    for i in np.flatnonzero(is_false):
        of = source[i]
        what = "nothing" if of < 0 else (
            f"{sources['name'][of]} {sources['max_snr'][of]:.1f} sigma, neighbour of "
            f"{sources['max_snr'][sources['neighbour_row'][of]]:.1f} sigma at "
            f"{sources['neighbour_distance'][of] / (3600 * result.beam):.2f} beams"
        )  # fmt: skip
        print(
            f"  false: entry {candidates['runcat'][i]} at {candidates['timestep'][i]}, "
            f"{candidates['det_sigma'][i]:.1f} sigma, newness {candidates['newness'][i]:.1f}: {what}"
        )
    p_value = result.metric
    for i in np.flatnonzero((sources["kind"] == "steady") & (p_value < VARIABLE_P)):
        near = sources["neighbour_row"][i]
        print(
            f"  varying: entry {ownership.entries[ownership.main_entry[i]]} {sources['name'][i]} "
            f"{sources['max_snr'][i]:.1f} sigma, p {p_value[i]:.1e}; neighbour {sources['name'][near]} "
            f"{sources['max_snr'][near]:.1f} sigma at "
            f"{sources['neighbour_distance'][i] / (3600 * result.beam):.2f} beams"
        )
    entry, n_foreign = np.unique(result.points["runcat"][ownership.is_foreign], return_counts=True)
    for number, n in sorted(zip(entry, n_foreign, strict=True), key=lambda pair: -pair[1])[:10]:
        owner = ownership.of_entry[np.searchsorted(ownership.entries, number)]
        names = ", ".join(sources["name"][i] for i in owner if i >= 0)
        print(f"  mixed: entry {number} of {names} has {n} foreign points")


def print_crowded(label: str, found: Columns) -> None:
    """Print the figures of one crowded field, or of all."""
    n_missing, n_bright = found["missing"].reshape(-1, 2).sum(axis=0)
    ks = kstest(found["p_value"], "uniform").pvalue if found["p_value"].size else np.nan
    print(
        f"{label:>5}  found {share(found['close'])} at 0.7–1, {share(found['apart'])} beyond; "
        f"late {found['late'].sum()}; false {found['false_likely'].sum()} likely, {found['false_possible'].sum()} "
        f"possible; purity {1 - found['foreign'].mean():.4%}, above {WHOLE_SIGMA:g} σ "
        f"{1 - found['foreign_bright'].mean():.4%}, wholeness {1 - found['broken'].mean():.4%}, "
        f"missing {n_missing / n_bright:.3%}; p < 1e-6: {found['varying'].sum()} steady; KS of η p {ks:.3g}",
        flush=True,
    )


def pairs(seed: int, folder: Path, arguments: Namespace) -> Columns:
    """Measure close pairs. A tenth of them has a member that doubles."""
    config = field(
        arguments, seed, n_steady=arguments.pairs, n_transients=0, min_separation_beams=6.0,
        n_close_pairs=arguments.pairs, close_pair_beams=(0.6, 2.0), close_pair_sigma=(10.0, 100.0),
        n_doubled=arguments.pairs // 10, shift_arcsec=arguments.jitter,
    )  # fmt: skip
    result = process(config, folder)
    sources, ownership, p_value = result.sources, result.ownership, result.metric
    doubled = np.flatnonzero(sources["shape"] == "doubled")
    partner = sources["neighbour_row"][doubled]
    quiet = np.setdiff1d(np.arange(len(p_value)), np.concatenate([doubled, partner]))
    step = [_step(result, row, config.doubling_timestep) for row in doubled]
    change = [_step(result, row, config.doubling_timestep) for row in partner]
    amplitude = np.array([(after - before) * config.rms**-1 for before, after, _ in step])
    error = np.array([(after_error) / config.rms for _, _, after_error in step])
    true = sources["max_snr"][doubled] / 2
    if arguments.verbose:
        for i in quiet[p_value[quiet] < VARIABLE_P]:
            print(
                f"  varying: entry {ownership.entries[ownership.main_entry[i]]} {sources['name'][i]} "
                f"{sources['max_snr'][i]:.1f} sigma, p {p_value[i]:.1e}, neighbour of "
                f"{sources['max_snr'][sources['neighbour_row'][i]]:.1f} sigma at "
                f"{sources['neighbour_distance'][i] / (3600 * result.beam):.2f} beams"
            )
    return {
        "p_value": p_value[quiet][np.isfinite(p_value[quiet])],
        "distance": sources["neighbour_distance"][quiet][np.isfinite(p_value[quiet])] / (3600 * result.beam),
        "lost": ownership.main_entry < 0,
        "candidates": np.array(len(result.candidates["runcat"])),
        "likely": np.array(np.count_nonzero(grades(result.candidates) == "likely")),
        "foreign": ownership.is_foreign[ownership.of_point[:, 1] >= 0],
        "broken": ~ownership.in_main[ownership.is_single],
        "variable": p_value[doubled] < VARIABLE_P,
        "pull": (amplitude - true) / error, "ratio": amplitude / true,
        "change": np.array([(after - before) / error for before, after, error in change]),
        "neighbour_varies": p_value[partner] < VARIABLE_P,
    }  # fmt: skip


def _step(result: Result, source: int, timestep: int) -> tuple[float, float, float]:
    """Return the mean flux densities of a source's main entry before and after a timestep, and the error of the step.

    They are NaN if the source has no entry, or no points before or after.
    """
    main = result.ownership.main_entry[source]
    points = result.points
    rows = (points["runcat"] == result.ownership.entries[main]) & np.isfinite(points["f_int"].astype(float))
    if main < 0:
        return np.nan, np.nan, np.nan
    means, variances = [], []
    for part in (points["image_row"] < timestep, points["image_row"] >= timestep):
        flux, error = (points[name][rows & part].astype(float) for name in ("f_int", "f_int_err"))
        weight = error**-2
        means.append(np.sum(flux * weight) / weight.sum() if weight.size else np.nan)
        variances.append(1 / weight.sum() if weight.size else np.nan)
    return means[0], means[1], float(np.sqrt(sum(variances)))


def print_pairs(label: str, found: Columns) -> None:
    """Print the figures of one field of pairs, or of all."""
    close = found["distance"] < 1
    ks = [kstest(found["p_value"][part], "uniform").pvalue if part.any() else np.nan for part in (close, ~close)]
    low = [np.count_nonzero(found["p_value"][part] < VARIABLE_P) for part in (close, ~close)]
    print(
        f"{label:>5}  KS of η p {ks[0]:.3g} below 1 beam, {ks[1]:.3g} beyond; p < 1e-6: {low[0]} of {close.sum()}, "
        f"{low[1]} of {(~close).sum()}; lost {share(found['lost'])}; candidates {found['candidates'].sum()} "
        f"({found['likely'].sum()} likely); purity {1 - found['foreign'].mean():.4%}, "
        f"wholeness {1 - found['broken'].mean():.4%}; doubled {share(found['variable'])} variable, step over truth "
        f"{np.nanmedian(found['ratio']):.3f}, pull {np.nanmean(found['pull']):+.2f} ± {np.nanstd(found['pull']):.2f}; "
        f"neighbours |ΔS| < 3σ {share(np.abs(found['change']) < 3)}, {found['neighbour_varies'].sum()} vary",
        flush=True,
    )


def on_top(seed: int, folder: Path, arguments: Namespace) -> Columns:
    """Measure transients on top of steady sources."""
    config = field(
        arguments, seed, n_steady=arguments.sources, n_transients=20, transient_sigma=(10.0, 100.0),
        transient_distance_beams=(0.3, 0.3), steady_sigma=(10.0, 1000.0), shift_arcsec=arguments.jitter,
    )  # fmt: skip
    result = process(config, folder)
    sources, points = result.sources, result.points
    rows = np.flatnonzero(sources["kind"] == "transient")
    steady = sources["neighbour_row"][rows]
    pull, p_value, ratio = [], result.metric[steady], []
    for transient, host in zip(rows, steady, strict=True):
        first = sources["first_timestep"][transient]
        entry = result.ownership.entries[result.ownership.main_entry[host]]
        here = np.flatnonzero((points["runcat"] == entry) & (points["image_row"] == first))
        true = (result.snr[transient, first] + result.snr[host, first]) * config.rms
        flux = points["f_int"][here].astype(float).sum() if here.size else np.nan
        error = points["f_int_err"][here].astype(float).max() if here.size else np.nan
        pull.append((flux - true) / error)
        ratio.append((flux - result.snr[host, first] * config.rms) / (result.snr[transient, first] * config.rms))
        if arguments.verbose:
            print(
                f"  {sources['name'][transient]} {result.snr[transient, first]:.1f} on {result.snr[host, first]:.1f} "
                f"sigma, entry {entry}: pull {pull[-1]:+.1f}, flux over truth {ratio[-1]:.3f}, p "
                f"{result.metric[host]:.1e}"
            )
    own = np.isin(rows, result.source_of(result.candidates))
    _, _, is_false = false_candidates(result)
    return {
        "variable": p_value < VARIABLE_P, "pull": np.array(pull), "ratio": np.array(ratio), "own": own,
        "false": np.array(np.count_nonzero(is_false)),
    }  # fmt: skip


def print_on_top(label: str, found: Columns) -> None:
    """Print the figures of one field with transients on top of steady sources, or of all."""
    pull = found["pull"]
    print(
        f"{label:>5}  variable {share(found['variable'])}; flux within 3σ of the sum {share(np.abs(pull) < 3)}, pull "
        f"{np.nanmean(pull):+.2f} ± {np.nanstd(pull):.2f}, transient over truth {np.nanmedian(found['ratio']):.3f}; "
        f"candidates of their own {share(found['own'])}, false {found['false'].sum()}",
        flush=True,
    )


def noise(seed: int, folder: Path, arguments: Namespace) -> Columns:
    """Measure images of noise alone."""
    config = field(arguments, seed, n_steady=0, n_transients=0, size=512)
    result = process(config, folder)
    heights = np.array([5.0, 5.5, 6.0])
    likely = grades(result.candidates) == "likely"
    return {
        "seen": np.array([np.count_nonzero(result.peaks >= height) for height in heights]),
        "expected": noise_peaks(heights, result.searched),
        "likely": np.array(np.count_nonzero(likely)), "possible": np.array(np.count_nonzero(~likely)),
    }  # fmt: skip


def print_noise(label: str, found: Columns) -> None:
    """Print the figures of one series of noise, or of all."""
    seen, expected = (found[name].reshape(-1, 3).sum(axis=0) for name in ("seen", "expected"))
    counts = ", ".join(
        f"{n} at {height} σ ({mean:.1f} expected)" for n, mean, height in zip(seen, expected, (5, 5.5, 6), strict=True)
    )
    likely, possible = found["likely"].sum(), found["possible"].sum()
    print(f"{label:>5}  peaks: {counts}; candidates: {likely} likely, {possible} possible", flush=True)


def sidelobes(seed: int, folder: Path, arguments: Namespace) -> Columns:
    """Measure the ranks of transients in a field with sidelobes."""
    config = field(
        arguments, seed, n_steady=arguments.sources, n_transients=20, transient_sigma=(10.0, 100.0), n_bright=1,
        sidelobe_level=0.01,
    )  # fmt: skip
    result = process(config, folder)
    candidates, source, is_false = false_candidates(result)
    best = int(np.argmax(is_false)) if is_false.any() else len(is_false)
    rows = np.flatnonzero(result.sources["kind"] == "transient")
    bright = int(np.argmax(result.sources["max_snr"]))
    mean = np.nanmean(_step(result, bright, result.n_images // 2)[:2])
    if arguments.verbose:
        for i in np.flatnonzero(is_false)[:5]:
            print(f"  false, rank {i + 1}: entry {candidates['runcat'][i]}, {candidates['det_sigma'][i]:.1f} sigma")
    return {
        "above": np.isin(rows, source[:best]), "found": np.isin(rows, source[~is_false]),
        "false": np.array(np.count_nonzero(is_false)),
        "false_likely": np.array(np.count_nonzero(is_false & (grades(candidates) == "likely"))),
        "bright": np.array(mean / (config.bright_sigma * config.rms)),
    }  # fmt: skip


def print_sidelobes(label: str, found: Columns) -> None:
    """Print the figures of one field with sidelobes, or of all."""
    print(
        f"{label:>5}  transients above all artefacts {share(found['above'])}, found {share(found['found'])}; artefacts "
        f"{found['false'].sum()}, {found['false_likely'].sum()} likely; bright source over truth "
        f"{np.mean(found['bright']):.4f}",
        flush=True,
    )


def field(arguments: Namespace, seed: int, **options: Any) -> SurveyConfig:  # noqa: ANN401 (settings of a survey)
    """Return the settings of a field with the chosen beam."""
    scale, *beam = BEAMS[arguments.beam]
    settings = {
        "n_timesteps": arguments.images, "n_bands": 1, "size": arguments.size, "n_variables": 0, "seed": seed,
        "pixel_scale_arcsec": scale, "steady_sigma": (arguments.faintest, 1000.0), **options,
    }  # fmt: skip
    return SurveyConfig(**settings).with_beam(*beam)


def share(values: NDArray[np.bool_]) -> str:
    """Write a share as a fraction."""
    return f"{np.count_nonzero(values)}/{len(values)}"


def measure_seeds(
    measure: Callable[[int, Path, Namespace], Columns], show: Callable[[str, Columns], None], arguments: Namespace
) -> None:
    """Print a line for each seed, and one for all."""
    results = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            place = arguments.keep / f"{arguments.what}-{seed}" if arguments.keep else Path(folder)
            results.append(measure(seed, place, arguments))
        show(str(seed), results[-1])
    if len(results) > 1:
        show("all", {name: np.concatenate([np.ravel(found[name]) for found in results]) for name in results[0]})


def measure_cost(arguments: Namespace) -> None:
    """Print the seconds of a run of this checkout and of another one, in turn."""
    here = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_survey(folder, field(arguments, arguments.first, n_steady=arguments.sources, n_transients=6))
        ratios = []
        for number in range(arguments.repeats + 1):
            new, old = (_seconds(checkout, folder) for checkout in (here, arguments.other))
            # The first pair compiles and fills caches.
            if number:
                ratios.append(new / old)
                print(f"{new:.2f} s here, {old:.2f} s there", flush=True)
    print(f"ratio {np.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


def _seconds(checkout: Path, folder: Path) -> float:
    """Run the command of a checkout over the images of a folder, and return the seconds."""
    for file in folder.glob("cost.db*"):
        file.unlink()
    command = [
        sys.executable, "-m", "trap", "run", "--images", f"{folder}/t*.fits", "--database",
        f"sqlite:///{folder / 'cost.db'}", "--no-prefect",
    ]  # fmt: skip
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)  # noqa: S603
    return time.perf_counter() - start


MEASUREMENTS = {
    "crowded": (crowded, print_crowded), "pairs": (pairs, print_pairs), "on-top": (on_top, print_on_top),
    "noise": (noise, print_noise), "sidelobes": (sidelobes, print_sidelobes),
}  # fmt: skip


def main() -> None:
    """Run one of the comparisons."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*MEASUREMENTS, "cost"])
    parser.add_argument("--first", type=int, default=1, help="first seed (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds (%(default)s)")
    parser.add_argument("--images", type=int, default=30, help="number of images (%(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="width of an image in pixels (%(default)s)")
    parser.add_argument("--sources", type=int, help=f"number of steady sources ({N_STEADY})")
    parser.add_argument("--faintest", type=float, default=3.0, help="faintest steady source, in sigma (%(default)s)")
    parser.add_argument("--pairs", type=int, default=60, help="number of pairs (%(default)s)")
    parser.add_argument("--jitter", type=float, default=0.0, help="shifts of images along each axis, arcsec")
    parser.add_argument("--beam", choices=BEAMS, default="default", help="pixels and beam of the field")
    parser.add_argument("--verbose", action="store_true", help="list failures")
    parser.add_argument("--keep", type=Path, help="folder that keeps images and databases")
    parser.add_argument("--other", type=Path, help="cost: the other checkout")
    parser.add_argument("--repeats", type=int, default=5, help="cost: number of pairs of runs (%(default)s)")
    arguments = parser.parse_args()
    if arguments.sources is None:
        arguments.sources = N_STEADY.get(arguments.what, 0)
    configure_logging(quiet=True)
    if arguments.what == "cost":
        if arguments.other is None:
            parser.error("cost needs --other")
        measure_cost(arguments)
    else:
        measure_seeds(*MEASUREMENTS[arguments.what], arguments)


if __name__ == "__main__":
    main()
