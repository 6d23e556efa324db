"""``transients dataset forget``: a dataset without some of its timesteps.

Each timestep changes the catalogue that the next ones are compared with, and a fork replaces an entry for good. So no
timestep can be taken out of a catalogue: the other images are processed again, into a dataset with the same settings
that takes the place of the old one. The result is the one of a dataset that never had these timesteps.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trap.cli.database import database_url, open_database
from trap.cli.datasets import is_confirmed
from trap.cli.progress import progress_bar
from trap.config.toml import parse_toml
from trap.db.datasets import replace_dataset, stored_config
from trap.db.deletion import delete_dataset
from trap.db.engine import reading, transaction
from trap.db.overview import dataset_summary, image_table
from trap.db.runs import latest_configs
from trap.db.store import Store
from trap.errors import ConfigError, DatabaseError
from trap.escapes import plain_text
from trap.images.patterns import path_of
from trap.pipeline import run_locally

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

__all__ = ["forget"]


def forget(arguments: Namespace) -> int:
    """Process a dataset again without some of its timesteps, after a confirmation at the terminal.

    Raises
    ------
    DatasetNotFoundError, DatasetLockedError
        If the dataset does not exist, or a run is writing it.
    ConfigError
        If a time is no timestep of the dataset, an image cannot be found any more, or standard input is not a
        terminal and ``--yes`` is not set.
    DatabaseError
        If timesteps failed. The dataset stays as it is then.
    """
    number = arguments.dataset
    with open_database(arguments.database) as engine:
        with reading(engine) as connection:
            summary = dataset_summary(connection, number)
            images, config = image_table(connection, number), stored_config(connection, number)
            catalogues = _source_lists(latest_configs(connection).get(number))
        starts = [start.astype("datetime64[us]") for start in images["taustart_ts"].astype("datetime64[us]")]
        forgotten = _matching(arguments.timesteps, sorted(set(starts)))
        kept = [url for url, start in zip(images["url"].tolist(), starts, strict=True) if start not in forgotten]
        _check_files(kept)
        label = f"dataset {number} ({summary['description']})"
        question = f"process {len(kept)} images of {label} again, without {len(starts) - len(kept)}, in its place?"
        if not arguments.yes and not is_confirmed(question):
            print("nothing changed")
            return 0
        config = config.with_options(
            reading={"catalogues": catalogues},
            execution={"database": database_url(arguments.database), "images": tuple(kept)},
            persistence={"dataset_id": -1, "dataset_key": "", "description": summary["description"]},
        )
        monitors = Store(engine, number).load_state(config).monitors
        with progress_bar("timesteps") as progress:
            done = run_locally(config, monitors=monitors, progress=progress)
        if done.failures:
            delete_dataset(engine, done.dataset_id)
            msg = f"{label} stays as it is, since {len(done.failures)} timesteps failed: {done.failures[0].failure}"
            raise DatabaseError(msg)
        with transaction(engine) as connection:
            replace_dataset(connection, number, done.dataset_id)
        with progress_bar("measurements") as progress:
            delete_dataset(engine, number, progress=progress)
    print(plain_text(f"dataset {done.dataset_id} replaces {label}: {len(done.outcomes)} timesteps, {len(kept)} images"))
    return 0


def _source_lists(settings: str | None) -> str:
    """Return the source lists of the latest run over a dataset, from its settings as TOML; empty without any."""
    reading = parse_toml(settings or "", "settings of the latest run").get("reading", {})
    return str(reading.get("catalogues", ""))


def _matching(texts: Iterable[str], starts: Sequence[np.datetime64]) -> set[np.datetime64]:
    """Return the timesteps that start at the given times; a time without seconds matches its whole minute."""
    found = set()
    for text in texts:
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            msg = f"{text!r} is no time; write 2026-01-31T12:00:00, as `transients dataset show --all` prints it"
            raise ConfigError(msg) from None
        moment = np.datetime64(time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time, "us")
        matches = [start for start in starts if start == moment] or [
            start for start in starts if start.astype("datetime64[s]") == moment
        ]
        if not matches:
            nearest = min(starts, key=lambda start: abs(start - moment), default="none")
            msg = f"no timestep starts at {text}; the nearest starts at {nearest}"
            raise ConfigError(msg)
        found.update(matches)
    return found


def _check_files(urls: Sequence[str]) -> None:
    """Raise an error if the same content cannot be processed again, since files are gone."""
    repeated = [url for url, n in Counter(urls).items() if n > 1]
    gone = [url for url in urls if not Path(path_of(url)).exists()] + repeated
    if gone:
        msg = f"{len(gone)} of {len(urls)} images are gone or were replaced since, for example {gone[0]}"
        raise ConfigError(msg)
