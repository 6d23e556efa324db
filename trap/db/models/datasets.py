"""Tables of what was run: datasets with their settings, and the state of their timesteps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from trap.db.models.base import Base, described, identifier, reference

__all__ = ["Arrival", "Config", "Dataset", "Run", "Timestep", "UnreadableImage", "Version"]


class Dataset(Base):
    """A run of the pipeline over a series of images, and all that hangs on it."""

    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("key"),)
    id: Mapped[int] = identifier()
    rerun: Mapped[int] = described("How often images were added to the dataset later.", default=0)
    type: Mapped[int] = described("Always 1; kept from TraP.", default=1)
    process_start_ts: Mapped[datetime] = described("When the dataset was made.")
    process_end_ts: Mapped[datetime | None] = described("When its latest run ended; NULL before the first did.")
    detection_threshold: Mapped[float | None] = described("Significance at which a source is found.", "sigma")
    analysis_threshold: Mapped[float | None] = described("Significance down to which it extends.", "sigma")
    assoc_radius: Mapped[float | None] = described("Largest de Ruiter radius of an association.")
    backsize_x: Mapped[int | None] = described("Width of a cell of the background mesh.", "pix")
    backsize_y: Mapped[int | None] = described("Height of a cell of the background mesh.", "pix")
    margin_width: Mapped[float | None] = described("Strip along the edges that is not searched.", "pix")
    description: Mapped[str] = described("Name for people.")
    state: Mapped[str] = described("'running', 'done', 'partial' or 'failed' as the latest run left it, or 'deleting'.")
    config_hash: Mapped[str] = described("Hash of every setting that shapes the results.")
    software_version: Mapped[str] = described("Version of this software that made the dataset.")
    key: Mapped[str | None] = described("By which programs find it again; NULL where people do, by its number.")


class Config(Base):
    """One setting of a dataset."""

    __tablename__ = "config"
    __table_args__ = (UniqueConstraint("dataset", "section", "key"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Whose setting.", index=False)
    section: Mapped[str] = described("Stage it belongs to.")
    key: Mapped[str] = described("Name.")
    value: Mapped[str] = described("Value, as text.")
    type: Mapped[str] = described("'str', 'int', 'float', 'bool' or 'list' (as JSON).")


class Run(Base):
    """One run of the pipeline over a dataset: which software, where, when, with which settings."""

    __tablename__ = "run"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Which dataset it made or went on with.")
    start_ts: Mapped[datetime] = described("When it began to write.")
    end_ts: Mapped[datetime | None] = described("When it ended; NULL while it runs, and where it was killed.")
    state: Mapped[str] = described("'running', 'done', 'partial', 'failed', or 'killed' as a later run found out.")
    host: Mapped[str] = described("Machine it ran on.")
    pid: Mapped[int] = described("Number of its process there.")
    software: Mapped[str] = described("Versions of this software, of Python and of the libraries, as a JSON object.")
    config_hash: Mapped[str] = described("Hash of every setting that shapes the results.")
    config: Mapped[str] = described("All settings in force, as TOML; of the database without a password.")


class Timestep(Base):
    """All images of one time: stored together, or not at all."""

    __tablename__ = "timestep"
    __table_args__ = (UniqueConstraint("dataset", "taustart_ts"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Whose timestep.", index=False)
    taustart_ts: Mapped[datetime] = described("Start of its images.")
    state: Mapped[str] = described(
        "'done'; 'late': measured after a later one was stored, and not associated; 'failed': nothing else is stored."
    )
    message: Mapped[str | None] = described("Why it failed; NULL where it did not.")
    stored_ts: Mapped[datetime] = described("When this row was written.")
    n_images: Mapped[int] = described("Images, readable ones.", default=0)
    n_accepted: Mapped[int] = described("Images that passed the quality checks.", default=0)
    n_rejected: Mapped[int] = described("Images that did not.", default=0)
    n_measured: Mapped[int] = described("Sources found.", default=0)
    n_new_entries: Mapped[int] = described("Entries new in the running catalogue.", default=0)
    n_newsources: Mapped[int] = described("Transient candidates.", default=0)
    n_forced_requested: Mapped[int] = described("Forced fits asked for.", default=0)
    n_forced_measured: Mapped[int] = described("Forced fits that gave a flux density.", default=0)
    seconds: Mapped[str | None] = described("Seconds that each stage took, as a JSON object.")
    run: Mapped[int | None] = reference("run", "Which run stored it, or failed to.", on_delete="SET NULL")


class UnreadableImage(Base):
    """A file that could not even be described."""

    __tablename__ = "unreadableimage"
    __table_args__ = (UniqueConstraint("dataset", "url"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "To which it should have belonged.", index=False)
    url: Mapped[str] = described("Path.")
    reason: Mapped[str] = described("What is wrong with it.")


class Arrival(Base):
    """An image that came into a watched folder, and the run that it was handed to: each writing of it once."""

    __tablename__ = "arrival"
    __table_args__ = (UniqueConstraint("dataset_key", "url", "version"), Index(None, "batch"))
    id: Mapped[int] = identifier()
    dataset_key: Mapped[str] = described("Key of the dataset that it goes into, which need not exist yet.")
    url: Mapped[str] = described("Path.")
    version: Mapped[str] = described("Its size and time of change, which tell one writing of a file from the next.")
    batch: Mapped[str] = described("Name of the images that were handed over together; the run's idempotency key.")
    taken_ts: Mapped[datetime] = described("When it was handed over.")


class Version(Base):
    """Which of TraP's schema revisions the tables follow, where tools written for TraP look for it."""

    __tablename__ = "version"
    name: Mapped[str] = mapped_column(primary_key=True, doc="'revision'.")
    value: Mapped[int] = described("Revision of TraP's schema; our own is in table alembic_version.")
