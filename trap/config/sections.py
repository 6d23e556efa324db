"""The settings of each stage: frozen, with TraP's names and defaults.

The docstring below a field is its only description: the commented configuration file, the Prefect
form and the documentation are all made from it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AssociationConfig",
    "ExecutionConfig",
    "PersistenceConfig",
    "Settings",
    "SourceExtractionConfig",
    "TransientSearchConfig",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Address = Annotated[str, Field(pattern=r"^([^\s:]+:\d{1,5})?$")]


class Settings(BaseModel):
    """What all settings share: frozen, nothing unknown, descriptions from the docstrings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


class PersistenceConfig(Settings):
    """What is written down, and how images are described."""

    description: Annotated[str, Field(max_length=100)] = "TraP dataset"
    """Name of the dataset, for people."""
    dataset_id: Annotated[int, Field(ge=-1)] = 0
    """Dataset to extend; -1 makes a new one, 0 goes on with the one of these images and this description, if any."""
    dataset_key: Annotated[str, Field(max_length=200)] = ""
    """Key of the dataset to extend, or to make if there is none yet: for programs, which do not know its number."""
    rms_est_sigma: Positive = 4.0
    """Clip level of the noise estimate for the quality check, in σ."""
    rms_est_fraction: Annotated[int, Field(ge=2)] = 8
    """Divisor f of that estimate's region: the central square of side 2·⌊n/f⌋ pixels."""
    bandwidth_max: NotNegative = 0.0
    """Replaces the image's bandwidth when bands are assigned, in Hz; 0 uses the image's own."""
    band_tolerance: NotNegative = 0.0
    """Gap between two frequency intervals that still makes them one band, in Hz."""
    timestep_tolerance: NotNegative = 0.0
    """Images that start within this time of a timestep's first belong to it, in s."""
    region_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Pointings this close to a sky region, in radii, belong to it; 0 makes one of each (TraP)."""


class SourceExtractionConfig(Settings):
    """How sources are found and measured, blind and forced."""

    detection_threshold: Positive = 8.0
    """Significance that the highest pixel of an island must reach, in σ."""
    analysis_threshold: Positive = 3.0
    """Significance down to which pixels belong to an island, in σ."""
    back_size_x: Annotated[int, Field(ge=4)] = 50
    """Width of a cell of the background and noise mesh, in pixels."""
    back_size_y: Annotated[int, Field(ge=4)] = 50
    """Height of a cell of the background and noise mesh, in pixels."""
    margin: Count = 10
    """Strip along the edges that is not searched, in pixels."""
    extraction_radius_pix: NotNegative = 250.0
    """Radius of the circle around the image's centre that is searched, in pixels; 0 searches all."""
    deblend_nthresh: Annotated[int, Field(ge=0, le=300)] = 32
    """0 leaves islands whole; any other number parts those that hold several sources, trying every level."""
    force_beam: bool = True
    """Give every source the shape of the restoring beam; otherwise only those whose shape noise explains."""
    point_like_sigma: NotNegative = 3.0
    """Without force_beam: a shape as close to the beam as this, in σ, becomes the beam's; 0 keeps free shapes."""
    errors: Literal["autocorrelation", "condon"] = "autocorrelation"
    """Errors of fits: from the autocorrelation of the image's own noise, or by Condon's (1997) formulas."""
    box_in_beampix: Positive = 10.0
    """Side of the box of a forced fit, in beam semi-major axes (half widths at half maximum)."""
    ew_sys_err: NotNegative = 10.0
    """Systematic position error along east-west, in arcsec."""
    ns_sys_err: NotNegative = 10.0
    """Systematic position error along north-south, in arcsec."""
    expiration: Count = 10
    """Forced fits after which an entry without a blind detection is no longer fitted."""

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.analysis_threshold > self.detection_threshold:
            msg = (
                f"analysis_threshold {self.analysis_threshold} is above detection_threshold {self.detection_threshold}"
            )
            raise ValueError(msg)
        return self


class AssociationConfig(Settings):
    """Which measurements are the same source as which catalogue entry."""

    deruiter_radius: Positive = 5.68
    """Largest distance of a pair in units of its position error (dimensionless)."""
    beamwidths_limit: Positive = 3.0
    """Largest distance of a pair, in beam semi-major axes (half widths at half maximum)."""
    search_radius_floor_arcsec: NotNegative = 0.0
    """Pairs as close as this are considered however small the beam is: the ionosphere shifts sources, not beams."""


class TransientSearchConfig(Settings):
    """Which new entries are transient candidates."""

    new_source_test: Literal["significance", "position", "image"] = "significance"
    """How a new source must differ from one that earlier images missed: see the next two settings."""
    new_source_significance: NotNegative = 4.0
    """"significance": by so many σ, against a steady source that every earlier look at its position missed."""
    new_source_sigma_margin: NotNegative = 1.0
    """"position", "image": so many σ above the threshold at the best earlier noise there, or (TraP) of all images."""
    backward_fits: Count = 0
    """Earlier images of its band in which a new source is measured, the latest first; 0 measures none."""


class ExecutionConfig(Settings):
    """Where and how the work is done; nothing here changes a result."""

    database: str = "sqlite:///trap.db"
    """Database URL: sqlite:///file.db, or postgresql://user@host/name."""
    images: tuple[str, ...] = ()
    """Images to process: paths or glob patterns."""
    n_workers: Count = 0
    """Processes that measure images; 0 takes one per core."""
    image_timeout_seconds: Positive = 600.0
    """Time after which a worker that hangs on one image is ended."""
    run_timeout_seconds: NotNegative = 0.0
    """Time after which a Prefect run stops before its next timestep, for a later run to go on; 0 sets no limit."""
    group_size: Count = 0
    """Timesteps in a group, which is a Prefect subflow; 0: at least ten, and as many as take half a minute."""
    granularity: Literal["auto", "image", "timestep"] = "auto"
    """Unit of a Prefect task: each step, or each timestep; with `auto` the cheaper one, and short ones share a task."""
    late_images: Literal["refuse", "store"] = "refuse"
    """Images from before the newest stored timestep: leave them out, or measure and store them unassociated."""
    after_failure: Literal["go on", "stop"] = "go on"
    """When a timestep fails for a reason that stays: take the next ones, or end, so that it can be made up in order."""
    wait_for_dataset: bool = False
    """Wait for another run that is writing the dataset; otherwise end at once."""
    keep_pixels: Literal["no", "cutouts", "images"] = "no"
    """Keep beside the database, as FITS: nothing, cut-outs around candidates and monitored positions, or all pixels."""
    pixel_directory: str = ""
    """Folder for kept pixels; empty: that of an SQLite file with .pixels added. PostgreSQL needs a name."""
    dask: Annotated[str, Field(pattern=r"^(tcp|tls|ucx)://\S+$|^$")] = ""
    """Address (tcp://host:port) of a Dask cluster that measures images in place of processes here; empty: none."""
    metrics: Address = ""
    """Address (host:port) at which counters of the run are served to Prometheus; empty serves none."""
    pictures: str = "trap-pictures"
    """Folder for the pictures of new sources beyond those that Prefect's pages show."""
