"""Tables of datasets, their settings and runs, and the state of their timesteps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from trap.db.models.base import Base, described, identifier, reference

__all__ = ["Arrival", "Config", "Dataset", "Run", "Timestep", "UnreadableImage", "Version"]


class Dataset(Base):
    """A series of images that the pipeline processes with one set of settings; all results refer to it."""

    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("key"),)
    id: Mapped[int] = identifier()
    rerun: Mapped[int] = described("Number of later runs that added images to the dataset.", default=0)
    type: Mapped[int] = described("Always 1; kept from TraP.", default=1)
    process_start_ts: Mapped[datetime] = described("Time when the dataset was created.")
    process_end_ts: Mapped[datetime | None] = described("End of the latest run; NULL before the first run has ended.")
    detection_threshold: Mapped[float | None] = described("Significance above which a source is detected.", "sigma")
    analysis_threshold: Mapped[float | None] = described("Significance above which pixels belong to a source.", "sigma")
    assoc_radius: Mapped[float | None] = described("Largest de Ruiter radius of an association.")
    backsize_x: Mapped[int | None] = described("Width of a cell of the background mesh.", "pix")
    backsize_y: Mapped[int | None] = described("Height of a cell of the background mesh.", "pix")
    margin_width: Mapped[float | None] = described("Width of the strip along the edges that is not searched.", "pix")
    description: Mapped[str] = described("Name for people.")
    state: Mapped[str] = described(
        "State after the latest run: 'running', 'done', 'partial', 'stopped' (interrupted) or 'failed'; or 'deleting'."
    )
    config_hash: Mapped[str] = described("Hash of all settings that affect the results.")
    software_version: Mapped[str] = described("Version of this software that created the dataset.")
    key: Mapped[str | None] = described(
        "Name for programs, unique; NULL for a dataset that is addressed by its number."
    )


class Config(Base):
    """One setting of a dataset."""

    __tablename__ = "config"
    __table_args__ = (UniqueConstraint("dataset", "section", "key"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the setting.", index=False)
    section: Mapped[str] = described("Section of the settings.")
    key: Mapped[str] = described("Name of the setting.")
    value: Mapped[str] = described("Value as text.")
    type: Mapped[str] = described("Type of the value: 'str', 'int', 'float', 'bool' or 'list' (as JSON).")


class Run(Base):
    """One run of the pipeline over a dataset: software, machine, time and settings."""

    __tablename__ = "run"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset that the run created or continued.")
    start_ts: Mapped[datetime] = described("Time of its first write.")
    end_ts: Mapped[datetime | None] = described("End of the run; NULL while it runs, and if it was killed.")
    state: Mapped[str] = described(
        "'running', 'done', 'partial', 'stopped' (interrupted) or 'failed'; "
        "'killed' if a later run found the process missing."
    )
    host: Mapped[str] = described("Name of the machine.")
    pid: Mapped[int] = described("Number of the process on the machine.")
    software: Mapped[str] = described("Versions of this software, of Python and of the libraries, as a JSON object.")
    config_hash: Mapped[str] = described("Hash of all settings that affect the results.")
    config: Mapped[str] = described("All effective settings as TOML, without the password of the database.")
    page: Mapped[str | None] = described("Address of the page of the run in Prefect; NULL for a run without one.")


class Timestep(Base):
    """All images of one time. They are stored together, or not at all."""

    __tablename__ = "timestep"
    __table_args__ = (UniqueConstraint("dataset", "taustart_ts"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the timestep.", index=False)
    taustart_ts: Mapped[datetime] = described("Start of the images.")
    state: Mapped[str] = described(
        "'done'; 'late': measured after a later timestep was stored, not associated; 'failed': no images are stored."
    )
    message: Mapped[str | None] = described("Reason of a failure; NULL otherwise.")
    stored_ts: Mapped[datetime] = described("Time when this row was written.")
    n_images: Mapped[int] = described("Number of readable images.", default=0)
    n_accepted: Mapped[int] = described("Number of images that passed the quality checks.", default=0)
    n_rejected: Mapped[int] = described("Number of images that failed the quality checks.", default=0)
    n_measured: Mapped[int] = described("Number of sources that were detected.", default=0)
    n_new_entries: Mapped[int] = described("Number of new entries of the running catalogue.", default=0)
    n_newsources: Mapped[int] = described("Number of transient candidates.", default=0)
    n_forced_requested: Mapped[int] = described("Number of forced fits that were requested.", default=0)
    n_forced_measured: Mapped[int] = described("Number of forced fits with a flux density.", default=0)
    seconds: Mapped[str | None] = described("Durations of the stages in seconds, as a JSON object.")
    run: Mapped[int | None] = reference(
        "run", "Run that stored the timestep, or failed to store it.", on_delete="SET NULL"
    )
    n_dropped_outside: Mapped[int] = described(
        "Number of sources left out: centred outside the searched area.", default=0
    )
    n_dropped_edge: Mapped[int] = described("Number of sources left out: cut by its edge.", default=0)
    n_dropped_masked: Mapped[int] = described("Number of sources left out: next to pixels without a value.", default=0)
    n_dropped_unfitted: Mapped[int] = described("Number of sources left out: without a fit.", default=0)
    n_dropped_unmeasured: Mapped[int] = described(
        "Number of sources left out: without a finite flux density or error.", default=0
    )
    n_dropped_unconfirmed: Mapped[int] = described(
        "Number of components next to known sources that a joint fit with these does not confirm.", default=0
    )


class UnreadableImage(Base):
    """A file that could not be read as an image."""

    __tablename__ = "unreadableimage"
    __table_args__ = (UniqueConstraint("dataset", "url"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset that the file was meant for.", index=False)
    url: Mapped[str] = described("Path of the file.")
    reason: Mapped[str] = described("Reason why it cannot be read.")


class Arrival(Base):
    """An image that arrived in a watched folder, and its run. Each version of a file has one row."""

    __tablename__ = "arrival"
    __table_args__ = (UniqueConstraint("dataset_key", "url", "version"), Index(None, "batch"))
    id: Mapped[int] = identifier()
    dataset_key: Mapped[str] = described("Key of the dataset of the image, which need not exist yet.")
    url: Mapped[str] = described("Path of the file.")
    version: Mapped[str] = described("Size and modification time, which identify a version of the file.")
    batch: Mapped[str] = described("Name of the batch of images that share a run; the idempotency key of the run.")
    taken_ts: Mapped[datetime] = described("Time when the image was assigned to the run.")


class Version(Base):
    """Revision of TraP's schema that the tables follow, for tools written for TraP."""

    __tablename__ = "version"
    name: Mapped[str] = mapped_column(primary_key=True, doc="Always 'revision'.")
    value: Mapped[int] = described("Revision of TraP's schema; our own is in table alembic_version.")
