"""The summary of a run as text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trap.catalogues import VARIABLE_P
from trap.dataset.dropped import dropped_text, sum_dropped
from trap.escapes import plain_lines
from trap.extraction.unsearched import unsearched_lines
from trap.report.calibration import calibration_columns, calibration_lines
from trap.report.noise import areas_of_images, grades_text, noise_lines
from trap.report.text import constancy_text, count, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trap.dataset.outcomes import MonitorFilling, RunSummary
    from trap.dataset.records import ImageRecord

__all__ = ["run_text", "same_field_text"]

MAX_NAMED = 10
"""Largest number of monitored positions, or of earlier images, that are named; further ones are counted."""


def run_text(summary: RunSummary, database: str, *, program: str) -> str:
    """Write the results of a run, the images and timesteps that were left out, and the commands to continue with.

    Parameters
    ----------
    summary
        Summary of the run.
    database
        URL of the database, without a password.
    program
        Name or path of the program that shows results.
    """
    return plain_lines([*_done(summary), *_not_done(summary), *_where_to_look(summary, database, program)])


def same_field_text(dataset_id: int, others: Sequence[tuple[int, str]]) -> str:
    """Write the advice for a new dataset whose field other datasets hold: a sentence.

    Parameters
    ----------
    dataset_id
        Number of the new dataset.
    others
        Numbers and names of the other datasets.
    """
    names = " and ".join(f"{number} ({name!r})" for number, name in others)
    noun, verb, which = ("dataset", "holds", "it") if len(others) == 1 else ("datasets", "hold", "the latest")
    return (
        f"new dataset {dataset_id}; {noun} {names} {verb} the same field, bands and settings: "
        f"to extend {which}, add --dataset {others[-1][0]}"
    )


def _done(summary: RunSummary) -> Iterator[str]:
    """Yield the lines about the stored timesteps, images and sources."""
    images = summary.images
    accepted = [image for image in images if image.result.rejection is None]
    stored = len(summary.outcomes) - len(summary.failures)
    blind = sum(image.n_blind - image.n_dropped for image in accepted)
    yield (
        f"dataset {summary.dataset_id}: {count(stored, 'timestep')} stored, "
        f"{count(len(images), 'image')}, {len(accepted)} accepted"
    )
    if summary.same_field:
        yield same_field_text(summary.dataset_id, summary.same_field)
    if images:
        forced = sum(outcome.n_fitted for outcome in summary.outcomes)
        grades = [grade for image in images for grade in image.new_sources.grade.tolist()]
        yield f"{count(blind, 'source')} found, {count(forced, 'forced fit')}, {grades_text(grades)}"
        dropped = dropped_text(sum_dropped(image.dropped for image in accepted))
        if dropped:
            yield dropped
        yield from _list_lines(accepted)
        yield from noise_lines(areas_of_images(images))
        yield from calibration_lines(calibration_columns(images))
    if summary.constancy is not None:
        yield constancy_text(summary.constancy)
        n_variable = count(summary.constancy.n_variable, "variable light curve")
        yield f"{n_variable}, by a probability of η below {VARIABLE_P:g}"
    if summary.unassociated:
        yield f"{count(len(summary.unassociated), 'late image')} measured and stored, in no light curve"
    if summary.filling is not None:
        yield from _filling_lines(summary.filling)
    if summary.already_known:
        number_known = len(summary.already_known)
        was = "was" if number_known == 1 else "were"
        ending = "" if images else ": nothing added"
        yield f"{count(number_known, 'image')} {was} already in dataset {summary.dataset_id}{ending}"


def _list_lines(images: Sequence[ImageRecord]) -> Iterator[str]:
    """Yield the lines about source lists without an image: missed sources without a fit, and lists without noise."""
    lists = [image for image in images if not image.result.metadata.has_pixels]
    n_unfitted = sum(image.n_unfitted for image in lists)
    if n_unfitted:
        yield (
            f"{count(n_unfitted, 'null detection')} without a forced fit, in "
            f"{count(len(lists), 'source list')} without an image"
        )
    n_silent = sum(image.result.noise_tiles is None for image in lists)
    if n_silent:
        yield f"{count(n_silent, 'source list')} without a noise (column rms): later sources there are no candidates"


def _filling_lines(filling: MonitorFilling) -> Iterator[str]:
    """Yield the lines about monitored positions that were added, and the earlier images that cannot be read."""
    n_read = filling.n_images - len(filling.unreadable)
    yield (
        f"{count(filling.n_positions, 'monitored position')} added, "
        f"measured in {n_read} of {count(filling.n_images, 'earlier image')}"
    )
    if filling.unreadable:
        yield f"{count(len(filling.unreadable), 'earlier image')} not readable any more:"
        yield from (f"  {url}" for url in filling.unreadable[:MAX_NAMED])
        if len(filling.unreadable) > MAX_NAMED:
            yield f"  … and {len(filling.unreadable) - MAX_NAMED} more"


def _not_done(summary: RunSummary) -> Iterator[str]:
    """Yield the lines about images, positions and timesteps that are missing or doubtful."""
    left_out = summary.left_out
    if left_out:
        yield f"{count(len(left_out), 'image')} left out:"
        yield from (f"  {url}: {reason}" for url, reason in left_out)
    if summary.unmeasured_monitors:
        unmeasured = summary.unmeasured_monitors
        named = ", ".join(f"{name} ({reason})" for name, reason in unmeasured[:MAX_NAMED])
        more = f", and {len(unmeasured) - MAX_NAMED} more" if len(unmeasured) > MAX_NAMED else ""
        yield f"{len(unmeasured)} of {count(summary.monitors, 'monitored position')} never measured: {named}{more}"
    yield from unsearched_lines(image.result.unsearched for image in summary.images)
    doubtful = summary.doubtful
    if doubtful:
        yield f"{count(len(doubtful), 'image')} doubtful, but processed:"
        yield from (f"  {url}: {reason}" for url, reason in doubtful)
    if summary.failures:
        yield f"{count(len(summary.failures), 'timestep')} failed and not in the database:"
        yield from (f"  {moment(outcome.taustart_ts)}: {outcome.failure}" for outcome in summary.failures)


def _where_to_look(summary: RunSummary, database: str, program: str) -> Iterator[str]:
    """Yield the database, the next commands and the pages of the run."""
    dataset = summary.dataset_id
    where = (str(dataset), "--database", database)
    yield f"results: {database}"
    yield f"now: {shlex.join((program, 'candidates', *where))}"
    yield f"     {shlex.join((program, 'variables', *where))}"
    yield f"     {shlex.join((program, 'dataset', 'show', *where))}"
    yield f"     {shlex.join((program, 'serve', database))}"
    yield from summary.watch
    if summary.failures:
        yield "failed timesteps can be stored in two ways:"
        yield '  in their order: in a new dataset (--new-dataset) with execution.after_failure = "stop"'
        yield '  in no light curve: in this dataset, with execution.late_images = "store"'
