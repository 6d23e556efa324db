"""Pages of new and of variable sources: a table of properties, the light curve and cut-outs of images, as figures.

Pages are stored in Prefect's database, so a run creates a limited number of them. The figures of further candidates are
written to files, up to another limit; candidates beyond it are counted only. The summary of the run lists all three.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prefect.artifacts import create_markdown_artifact

from flows.pages.artifacts import markdown_table, picture, position_cells, source_name
from flows.service.identity import dataset_label
from flows.service.outage import publish
from trap.errors import TransientError, TrapError
from trap.escapes import markdown_text, plain_text
from trap.report.candidates import candidate_lines, draw_candidate, variable_lines
from trap.report.text import moment, number
from trap.steps.candidates import load_candidates, load_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.pages.artifacts import Variable
    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.report.candidates import Candidate, Pictures
    from trap.workers.executors import Executor, Result

    Drawing = tuple[Candidate, Result[Pictures]]

__all__ = ["CandidatePages", "page_text"]

log = structlog.get_logger(__name__)

MAX_PAGES = 12
"""Maximum number of pages of a run. Each is stored twice, when a source is found and at the end, with some 60 kB."""
CATALOGUES = {
    "SIMBAD": "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}d%20{dec}d&Radius=1&Radius.unit=arcmin",
    "NED": "https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&coordinates={ra}d%20{dec}d&radius=1",
    "ESASky": "https://sky.esa.int/?target={ra}%20{dec}&fov=0.2",
    "Aladin": "https://aladin.cds.unistra.fr/AladinLite/?target={ra}%20{dec}&fov=0.2",
}
"""Pages of other services about a position in degrees, within an arcminute."""
MAX_FILES = 500
"""Maximum number of candidates of a run whose figures are written to files."""
PICTURES = ("light_curve", "cutouts")
"""Names of the figures of a candidate."""


class CandidatePages:
    """The pages of the new sources of one run.

    Parameters
    ----------
    dataset
        The run, with the database of the candidates and the settings: ``execution.pictures`` is the folder of files.
    executor
        Executor that draws the figures: half a second per source and worker.
    """

    def __init__(self, dataset: DatasetRun, executor: Executor) -> None:
        self._store = dataset.store
        self._dataset_id = dataset.dataset_id
        self._label = dataset_label(dataset.config, dataset.dataset_id)
        self._executor = executor
        self._reading = dataset.config.reading
        self._folder = Path(dataset.config.execution.pictures).absolute() / f"dataset-{dataset.dataset_id}"
        self._n_points: dict[int, int] = {}  # entries with a page: number of points in the light curve on it
        self._links: dict[int, str] = {}
        self._entries_in_files: list[int] = []
        self._pending_pages: list[Drawing] = []
        self._pending_files: list[int] = []
        self._n_omitted = 0

    def collect(self, outcome: TimestepOutcome, catalogue: RunningCatalogue) -> None:
        """Add the candidates of a timestep, and start to draw their pages in the background.

        Parameters
        ----------
        outcome
            Outcome of a timestep that has been stored.
        catalogue
            Running catalogue of the dataset, with the entries of the candidates.
        """
        new = [int(entry) for image in outcome.images for entry in catalogue.entries["id"][image.new_sources.entry]]
        if not new:
            return
        for_pages = new[: MAX_PAGES - len(self._n_points)]
        remaining = new[len(for_pages) :]
        for_files = remaining[: MAX_FILES - len(self._entries_in_files)]
        self._n_omitted += len(remaining) - len(for_files)
        self._n_points |= dict.fromkeys(for_pages, 0)
        self._entries_in_files += for_files
        self._pending_files += for_files
        try:
            self._pending_pages += self._start_drawing(for_pages)
        except TransientError as error:
            log.warning("candidates_not_drawn", sources=for_pages, reason=str(error))

    def store_new(self) -> None:
        """Store the pages and write the files of the candidates added since the last call, in the current flow run."""
        pages, self._pending_pages = self._pending_pages, []
        files, self._pending_files = self._pending_files, []
        for candidate, pictures in self._finished(pages):
            self._store_page(candidate, pictures, candidate_lines(candidate))
        for candidate, pictures in self._finished(self._start_drawing(files)):
            self._write_files(candidate, pictures)

    def store_again(self) -> None:
        """Store the pages again whose light curves have new points, at the end of the run."""
        for candidate, pictures in self._finished(self._start_drawing(list(self._n_points))):
            self._store_page(candidate, pictures, candidate_lines(candidate))

    def store_variables(self, variables: Sequence[Variable]) -> None:
        """Store the pages of variable sources that have none as new sources, at the end of the run.

        Parameters
        ----------
        variables
            The most variable light curves.
        """
        positions = {each.entry: (each.ra, each.dec) for each in variables if each.entry not in self._links}
        try:
            sources = load_variables(self._store, positions)
            drawings = [(each, self._executor.submit(draw_candidate, each, self._reading)) for each in sources]
        except TransientError as error:
            log.warning("variables_not_drawn", sources=list(positions), reason=str(error))
            return
        for source, pictures in self._finished(drawings):
            self._store_page(source, pictures, variable_lines(source))

    @property
    def links(self) -> dict[int, str]:
        """Address of the page of each source that has one, by row number of the running catalogue."""
        return dict(self._links)

    def reset(self) -> None:
        """Reset the limits, in a run without an end. Existing pages remain as they are."""
        log.info(
            "candidate_pages", pages=len(self._n_points), files=len(self._entries_in_files), neither=self._n_omitted
        )
        self._n_points, self._links, self._entries_in_files, self._n_omitted = {}, {}, [], 0

    @property
    def text(self) -> str:
        """The number of pages, and the folder of the files, in Markdown; empty if there are none."""
        parts = ["Numbers with links lead to pages with pictures."] if self._links else []
        if self._entries_in_files:
            folder = plain_text(self._folder).replace("`", "'")  # which would end the code
            parts.append(f"Pictures of {len(self._entries_in_files)} more are in `{folder}`.")
        if self._n_omitted:
            parts.append(f"{self._n_omitted} more have neither; `transients candidates {self._dataset_id}` lists all.")
        return " ".join(parts)

    def _start_drawing(self, entries: Sequence[int]) -> list[Drawing]:
        """Submit the figures of candidates whose light curves have points that their pages do not show."""
        drawings: list[Drawing] = []
        for candidate in load_candidates(self._store, entries):
            n_shown = self._n_points.get(int(candidate.facts["runcat"]), 0)
            if len(candidate.curve.time) > n_shown:
                drawings.append((candidate, self._executor.submit(draw_candidate, candidate, self._reading)))
        return drawings

    def _finished(self, drawings: Sequence[Drawing]) -> Iterator[tuple[Candidate, Pictures]]:
        """Wait for drawings; one that fails is logged and skipped, since it is no reason to end a run."""
        for candidate, pictures in drawings:
            try:
                yield candidate, pictures.result()
            except TrapError as error:
                log.warning("candidate_not_drawn", source=int(candidate.facts["runcat"]), reason=str(error))

    def _store_page(self, candidate: Candidate, pictures: Pictures, lines: Sequence[tuple[str, str]]) -> None:
        """Store a page as an artifact of the current flow run, and keep its link."""
        entry = int(candidate.facts["runcat"])
        artifact_id = publish(
            create_markdown_artifact,
            page_text(candidate, pictures, lines),
            key=f"dataset-{self._label}-source-{entry}",
            description=f"{page_title(candidate)}: source {entry} of dataset {self._dataset_id}",
        )
        if artifact_id is None:
            return  # The page is stored at the end of the run, if the server is back then.
        if entry in self._n_points:
            self._n_points[entry] = len(candidate.curve.time)
        self._links[entry] = f"/artifacts/artifact/{artifact_id}"

    def _write_files(self, candidate: Candidate, pictures: Pictures) -> None:
        """Write the figures of a candidate as PNG files; a failure is logged."""
        entry = int(candidate.facts["runcat"])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in PICTURES:
                if picture := getattr(pictures, name):
                    (self._folder / f"source-{entry}-{name.replace('_', '-')}.png").write_bytes(picture)
        except OSError as error:
            log.warning("pictures_not_written", folder=str(self._folder), reason=error.strerror or str(error))


def page_title(candidate: Candidate) -> str:
    """Compose the title of the page of a source: its name, its flux density, and the date."""
    facts = candidate.facts
    name = source_name(float(facts["wm_ra"]), float(facts["wm_decl"]))
    return f"{name}, {number(1e3 * facts['f_int'], 3)} mJy, {moment(facts['taustart_ts'])[:10]}"


def page_text(candidate: Candidate, pictures: Pictures, lines: Sequence[tuple[str, str]]) -> str:
    """Format the page of a source in Markdown, with its figures embedded.

    Parameters
    ----------
    candidate
        Properties and light curve of the candidate.
    pictures
        Figures of the candidate.
    lines
        Label and value of each property.
    """
    facts = candidate.facts
    ra, dec, sexagesimal = position_cells(float(facts["wm_ra"]), float(facts["wm_decl"]))
    links = (f"[{name}]({url.format(ra=ra, dec=dec.replace('+', '%2B'))})" for name, url in CATALOGUES.items())
    rows = [("source", str(int(facts["runcat"]))), ("RA, Dec (J2000)", sexagesimal), *lines]
    table = markdown_table(("property", "value"), rows)
    parts = [f"# {page_title(candidate)}", " · ".join(links), table, picture("light curve", pictures.light_curve)]
    if pictures.cutouts:
        parts.append(picture("cut-outs", pictures.cutouts))
    parts += [f"*Not shown: {markdown_text(reason)}*" for reason in pictures.missing]
    return "\n\n".join(parts)
