"""A page for every new source: its numbers, its light curve and what the images show, as pictures.

Pages are kept in Prefect's database, so there are so many of them in a run and no more; the pictures of
further candidates become files, and what is beyond those is counted. All three are said in the
summary of the run.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prefect.artifacts import create_markdown_artifact

from trap.errors import TransientError, TrapError
from trap.steps.candidates import candidate_lines, draw_candidate, load_candidates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.steps.candidates import Candidate, Pictures
    from trap.workers.executors import Executor, Result

    Drawing = tuple[Candidate, Result[Pictures]]

__all__ = ["CandidatePages", "page_text"]

log = structlog.get_logger(__name__)

MAX_PAGES = 12
"""Of some 60 kB each, twice: when a source is found, and at the end of the run."""
MAX_FILES = 500
PICTURES = ("light_curve", "cutouts")


class CandidatePages:
    """The pages of one run.

    Parameters
    ----------
    dataset
        Where candidates and their light curves are; its settings say where pictures go that have no page.
    executor
        Draws; the figures of a source take a worker half a second.
    """

    def __init__(self, dataset: DatasetRun, executor: Executor) -> None:
        self._store = dataset.store
        self._dataset_id = dataset.dataset_id
        self._executor = executor
        self._reading = dataset.config.reading
        self._folder = Path(dataset.config.execution.pictures).absolute() / f"dataset-{dataset.dataset_id}"
        self._shown: dict[int, int] = {}  # entry: points on its page
        self._links: dict[int, str] = {}
        self._to_files: list[int] = []
        self._pages: list[Drawing] = []
        self._files: list[int] = []
        self._n_beyond = 0

    def collect(self, outcome: TimestepOutcome, catalogue: RunningCatalogue) -> None:
        """Take note of the candidates of a timestep that was stored, and begin to draw their pages meanwhile."""
        new = [int(entry) for image in outcome.images for entry in catalogue.entries["id"][image.new_sources.entry]]
        if not new:
            return
        pages = new[: MAX_PAGES - len(self._shown)]
        files = new[len(pages) :][: MAX_FILES - len(self._to_files)]
        self._n_beyond += len(new) - len(pages) - len(files)
        self._shown |= dict.fromkeys(pages, 0)
        self._to_files += files
        self._files += files
        try:
            self._pages += self._begin(pages)
        except TransientError as error:
            log.warning("candidates_not_drawn", sources=pages, reason=str(error))

    def store_new(self) -> None:
        """Make the pages, or else the files, of what was collected since the last time, in the current flow run."""
        pages, files, self._pages, self._files = self._pages, self._files, [], []
        for candidate, pictures in self._drawn(pages):
            self._store_page(candidate, pictures)
        for candidate, pictures in self._drawn(self._begin(files)):
            self._write_files(candidate, pictures)

    def store_again(self) -> None:
        """Make the pages anew whose light curves have grown since, at the end of the run."""
        for candidate, pictures in self._drawn(self._begin(list(self._shown))):
            self._store_page(candidate, pictures)

    def reset(self) -> None:
        """Leave the pages as they are, and have room for as many again: for runs without an end."""
        log.info("candidate_pages", pages=len(self._shown), files=len(self._to_files), neither=self._n_beyond)
        self._shown, self._links, self._to_files, self._n_beyond = {}, {}, [], 0

    @property
    def text(self) -> str:
        """Where the pages and the files are, in Markdown; empty if there are none."""
        links = ", ".join(f"[{entry}]({link})" for entry, link in self._links.items())
        parts = [f"Pages with pictures: {links}."] if links else []
        if self._to_files:
            parts.append(f"Pictures of {len(self._to_files)} more are in `{self._folder}`.")
        if self._n_beyond:
            parts.append(f"{self._n_beyond} more have neither; `trap transients {self._dataset_id}` lists all.")
        return " ".join(parts)

    def _begin(self, entries: Sequence[int]) -> list[Drawing]:
        """Begin to draw what is new of these, if anything is."""
        candidates = load_candidates(self._store, entries)
        grown = [each for each in candidates if len(each.curve.time) > self._shown.get(int(each.facts["runcat"]), 0)]
        return [(candidate, self._executor.submit(draw_candidate, candidate, self._reading)) for candidate in grown]

    def _drawn(self, drawings: Sequence[Drawing]) -> Iterator[tuple[Candidate, Pictures]]:
        """Wait for drawings; a candidate that cannot be drawn is no reason to lose a run."""
        for candidate, pictures in drawings:
            try:
                yield candidate, pictures.result()
            except TrapError as error:
                log.warning("candidate_not_drawn", source=int(candidate.facts["runcat"]), reason=str(error))

    def _store_page(self, candidate: Candidate, pictures: Pictures) -> None:
        entry = int(candidate.facts["runcat"])
        self._shown[entry] = len(candidate.curve.time)
        page = create_markdown_artifact(
            page_text(candidate, pictures),
            key=f"dataset-{self._dataset_id}-source-{entry}",
            description=f"New source {entry} of dataset {self._dataset_id}",
        )
        self._links[entry] = f"/artifacts/artifact/{page}"

    def _write_files(self, candidate: Candidate, pictures: Pictures) -> None:
        entry = int(candidate.facts["runcat"])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in PICTURES:
                if picture := getattr(pictures, name):
                    (self._folder / f"source-{entry}-{name.replace('_', '-')}.png").write_bytes(picture)
        except OSError as error:
            log.warning("pictures_not_written", folder=str(self._folder), reason=error.strerror or str(error))


def page_text(candidate: Candidate, pictures: Pictures) -> str:
    """Write the page of a candidate in Markdown, with the pictures in it.

    Parameters
    ----------
    candidate
        What is known of it.
    pictures
        Its figures.
    """
    numbers = "\n".join(f"| {name} | {value} |" for name, value in candidate_lines(candidate))
    title = f"# New source {int(candidate.facts['runcat'])}"
    parts = [f"{title}\n\n| | |\n|---|---|\n{numbers}", _picture("light curve", pictures.light_curve)]
    if pictures.cutouts:
        parts.append(_picture("cut-outs", pictures.cutouts))
    parts += [f"*Not shown: {reason}*" for reason in pictures.missing]
    return "\n\n".join(parts)


def _picture(name: str, png: bytes) -> str:
    return f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})"
