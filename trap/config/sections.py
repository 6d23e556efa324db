"""The settings of each stage: frozen, with TraP's names. Defaults suit images of today's telescopes, without tuning.

The docstring below a field is its only description: the commented configuration file, the Prefect
form and the documentation are generated from it. It may take several lines, but is one paragraph.
"""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from trap.codes import STOKES, stokes_letter

__all__ = [
    "AssociationConfig",
    "AssociationMethod",
    "ExecutionConfig",
    "PersistenceConfig",
    "Settings",
    "SourceExtractionConfig",
    "TransientSearchConfig",
]

MAX_NUMBER = 1e18
"""Largest number, in any unit: far above the frequencies in Hz."""
MAX_COUNT = 2**31 - 1
"""Largest count, as databases and Numba's loops hold it."""
MAX_TEXT = 10_000
"""Largest number of characters of a text; paths have at most 4096."""
MAX_PORT = 65_535


def _checked_address(address: str) -> str:
    """Return an address HOST:PORT, or an empty one; refuse a port or a host that no machine can have."""
    host, _, port = address.rpartition(":")
    if address and not 1 <= int(port) <= MAX_PORT:
        msg = f"port {port} is not between 1 and {MAX_PORT}"
        raise ValueError(msg)
    host.encode("idna")  # its error is a ValueError
    return address


def _checked_cluster(url: str) -> str:
    """Return the address of a Dask cluster, or an empty one; refuse an impossible port."""
    _ = urlsplit(url).port  # raises a ValueError
    return url


Positive = Annotated[float, Field(gt=0, le=MAX_NUMBER)]
NotNegative = Annotated[float, Field(ge=0, le=MAX_NUMBER)]
# Above 24 days, waiting for a process overflows a number of milliseconds.
Seconds = Annotated[float, Field(gt=0, le=1e6)]
SecondsOrNone = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Pixels = Annotated[int, Field(ge=4, le=1_000_000)]
Address = Annotated[str, Field(pattern=r"^([^\s:]+:[0-9]{1,5})?$"), AfterValidator(_checked_address)]


def checked_stokes(letter: str) -> str:
    """Return the letter of a Stokes parameter in capitals; refuse any other text."""
    if letter.upper() in STOKES:
        return letter.upper()
    msg = f"no Stokes parameter; choose one of {', '.join(STOKES)}"
    raise ValueError(msg)


def _checked_stokes_set(letters: str) -> str:
    """Return the letters of several Stokes parameters in capitals, in the order of FITS; refuse any other text."""
    found = re.findall("|".join(STOKES), letters.upper())
    if "".join(found) == re.sub(r"[\s,]", "", letters.upper()):
        return "".join(letter for letter in STOKES if letter in found)
    msg = f"not a set of Stokes parameters, such as QUV; choose from {', '.join(STOKES)}"
    raise ValueError(msg)


def full_url(database: str) -> str:
    """Return the URL of a database that is named by a URL, by the path of an SQLite file, or with ``postgres://``."""
    if database and ":" not in database:
        return f"sqlite:///{database}"
    scheme, separator, rest = database.partition("://")
    return f"postgresql://{rest}" if separator and scheme == "postgres" else database


class Settings(BaseModel):
    """Base of all settings: frozen, without unknown fields, described by the docstrings of the fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _check_text(cls, value: Any) -> Any:  # noqa: ANN401 (the value of any setting)
        """Refuse texts that no file, address or database can have."""
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and "\0" in text:
                raise ValueError("a text cannot have the character NUL")
            if isinstance(text, str) and len(text) > MAX_TEXT:
                msg = f"a text has at most {MAX_TEXT} characters, got {len(text)}"
                raise ValueError(msg)
        return value


AssociationMethod = Literal["one-to-one", "trap"]
"""Methods that match the measurements of an image with entries."""


class PersistenceConfig(Settings):
    """The dataset that stores the results, and how its images are grouped in time, frequency and on the sky."""

    description: Annotated[str, Field(max_length=100)] = "TraP dataset"
    """Name of the dataset, as lists and reports show it."""
    dataset_id: Annotated[int, Field(ge=-1, le=2**63 - 1)] = 0
    """Number of the dataset to extend. -1 creates a new dataset. 0 extends the dataset that holds any of these images
    with the same settings, or creates a new one if there is none."""
    dataset_key: Annotated[str, Field(max_length=200)] = ""
    """Key of the dataset to extend, for programs that start runs without the number of the dataset. If the database
    holds no dataset with this key, one is created. Empty: the dataset has no key."""
    rms_est_sigma: Positive = 4.0
    """Clip level, in σ, of the noise estimate for the quality checks. Pixels farther from the median are excluded,
    repeatedly. A larger value keeps more of the sources' pixels, and so gives a higher noise."""
    rms_est_fraction: Annotated[int, Field(ge=2, le=1000)] = 8
    """Divisor f that sets the region of this noise estimate: the central 2·⌊n/f⌋ pixels along an axis of n pixels. A
    larger value uses a smaller region."""
    bandwidth_max: NotNegative = 0.0
    """Bandwidth, in Hz, of every image when images are assigned to frequency bands; it replaces the bandwidth of the
    header. 0 uses the bandwidth of the header."""
    band_tolerance: NotNegative = 0.0
    """Gap, in Hz, between the frequency interval of an image and a band, below which the image still belongs to the
    band. A larger value makes fewer bands; 0 requires the intervals to overlap."""
    timestep_tolerance: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Largest difference, in s, between the start times of an image and of the first image of its timestep. A larger
    value makes fewer timesteps; 0 requires equal start times."""
    region_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Largest difference between the pointing of an image and the sky region that the image belongs to, as a fraction
    of the radius of the region. A larger value makes fewer regions; 0 makes one for each pointing, as TraP does."""


class SourceExtractionConfig(Settings):
    """How sources are detected and measured, by blind extraction and by forced fits."""

    detection_threshold: Positive = 5.0
    """Significance that the highest pixel of a source must reach, in σ. A larger value finds fewer sources, with fewer
    false ones among them; at 5 σ, noise makes less than one in a million beams."""
    analysis_threshold: Positive = 3.0
    """Significance down to which pixels belong to an island, in σ; at most the detection threshold. A larger value
    makes smaller islands, and merges fewer sources into one island."""
    negative: Annotated[str, AfterValidator(_checked_stokes_set)] = "QUV"
    """Stokes parameters whose images are searched for negative sources too, with the same thresholds. Polarised flux
    densities have either sign, while no source is negative in Stokes I. Empty: positive sources only, as in TraP."""
    back_size_x: Pixels = 50
    """Width of a cell of the background and noise mesh, in pixels. A larger cell averages over more of the image and
    follows changes of the background and the noise less closely."""
    back_size_y: Pixels = 50
    """Height of a cell of the background and noise mesh, in pixels; see back_size_x."""
    margin: Count = 0
    """Width of the strip along the edges of an image that is not searched, in pixels. 0 searches up to the edges:
    sources that the edge cuts are flagged, and do not become candidates."""
    extraction_radius_pix: NotNegative = 0.0
    """Radius of the circle around the centre of an image that is searched, in pixels. 0 searches the whole image: a
    suitable circle depends on the telescope, and a smaller one hides sources."""
    deblend_nthresh: Annotated[int, Field(ge=0, le=300)] = 32
    """Switch for deblending: 0 measures each island as one source, any other number splits islands that hold several
    sources. The number itself has no effect, since all levels are tried; in TraP it is the number of levels."""
    force_beam: bool = False
    """Whether every source is fitted with the shape of the restoring beam, which makes resolved sources too faint. If
    false, shapes are fitted too, except in islands whose shapes noise explains (see point_like_sigma)."""
    point_like_sigma: NotNegative = 4.0
    """If force_beam is false: an island is fitted with the beam shape if no shape in it differs from the beam by this
    significance, in σ. A larger value gives more sources the beam shape; 0 keeps all shapes that could be fitted."""
    errors: Literal["autocorrelation", "condon"] = "autocorrelation"
    """Errors of fits: `"autocorrelation"` takes the correlation of the noise from the image itself, `"condon"` uses
    the formulas of Condon (1997)."""
    box_in_beampix: Positive = 10.0
    """Side of the box around the position of a forced fit, in beam semi-major axes (half widths at half maximum)."""
    beam_sys_err: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Systematic position error as a fraction of the beam's full width at half maximum, along east-west and along
    north-south. If ew_sys_err and ns_sys_err are numbers, it is added to them in quadrature. If they are `"auto"`, it
    holds for images with too few sources, and for sources that are blended or resolved in any image."""
    ew_sys_err: NotNegative | Literal["auto"] = "auto"
    """Systematic position error along east-west. `"auto"`: the error that each image itself shows, beyond the errors
    of its fits; while too few sources show it, beam_sys_err. A number, in arcsec, is added in quadrature to
    beam_sys_err. A larger error associates sources over larger distances."""
    ns_sys_err: NotNegative | Literal["auto"] = "auto"
    """Systematic position error along north-south. `"auto"`: the error that each image itself shows, beyond the errors
    of its fits; while too few sources show it, beam_sys_err. A number, in arcsec, is added in quadrature to
    beam_sys_err. A larger error associates sources over larger distances."""
    expiration: Count = 10
    """Number of timesteps without a blind detection after which forced fits of a source end. 0 makes no forced fits
    of sources that are not detected."""

    def searches_negative(self, stokes: int) -> bool:
        """Return whether images of a Stokes parameter, given by its FITS code, are searched for negative sources."""
        return stokes_letter(stokes) in re.findall("|".join(STOKES), self.negative)

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.analysis_threshold > self.detection_threshold:
            msg = (
                f"analysis_threshold {self.analysis_threshold} is above detection_threshold {self.detection_threshold}"
            )
            raise ValueError(msg)
        return self


class AssociationConfig(Settings):
    """How the sources of an image are matched with the running catalogue."""

    method: AssociationMethod = "one-to-one"
    """Method: `"one-to-one"` gives each entry at most one measurement of an image, by position and flux density; the
    others are new entries. `"trap"` gives it every one nearby, as TraP does: entries fork, with copied light curves."""
    deruiter_radius: Positive = 5.68
    """Largest de Ruiter radius of a match: the distance of source and catalogue entry divided by its error
    (dimensionless). A larger value matches sources over larger distances, more of them by chance."""
    beamwidths_limit: Positive = 3.0
    """Largest distance of a match, in beam semi-major axes (half widths at half maximum). A larger value
    matches sources over larger distances if their position errors are large."""
    search_radius_floor_arcsec: NotNegative = 0.0
    """Lower limit of this largest distance, in arcsec, for images with a small beam. The ionosphere shifts sources by
    angles that do not depend on the beam. 0 sets no lower limit."""
    joint_beams: NotNegative = 1.5
    """For `"one-to-one"`: distance, in beam widths along the major axis, below which sources form a group. A group is
    measured jointly in every image that does not show its sources one-to-one. A larger value makes larger groups; 0
    makes none."""


class TransientSearchConfig(Settings):
    """Which new catalogue entries become transient candidates."""

    new_source_test: Literal["significance", "position", "image"] = "significance"
    """Test of a new source that earlier images missed: `"significance"` against a steady source,
    `"position"` against the lowest earlier rms at its position, or `"image"` against the lowest earlier rms anywhere
    in an image (TraP)."""
    new_source_significance: NotNegative = 5.0
    """For `"significance"`: minimum significance, in σ, against a steady source missed by all earlier images. A larger
    value gives fewer candidates. A series of images has thousands of looks at steady sources near the threshold: at
    4 σ, one in thirty thousand of them brightens so much by chance; at 5 σ, one in three million."""
    max_false_likely: NotNegative = 0.1
    """Largest expected number of false candidates, which noise made, among the candidates that are marked likely. It
    counts all images of a band and Stokes parameter together, however many there are. Other candidates are marked
    possible. A larger value marks more candidates as likely."""
    new_source_sigma_margin: NotNegative = 1.0
    """For `"position"` and `"image"`: margin above the detection threshold, in units of the lowest earlier rms at the
    position, or anywhere in the image (TraP). A larger value gives fewer candidates."""
    backward_fits: Count = 10
    """Number of earlier images of each band and field in which a new source is measured. Half of them are the latest
    images, half the best of the others. They decide whether the source is new, and its light curve begins there. 0
    measures none; a larger value reads more images again."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_former_limit(cls, values: Any) -> Any:  # noqa: ANN401 (settings of any origin)
        """Leave out ``max_false_alarms`` of earlier versions: nothing is refused any more, but graded."""
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if name != "max_false_alarms"}
        return values


class ExecutionConfig(Settings):
    """Where and how a run works; these settings do not affect the results."""

    database: Annotated[str, AfterValidator(full_url)] = "sqlite:///trap.db"
    """Database: the path of an SQLite file, sqlite:///FILE, or postgresql://USER@HOST/NAME. Put passwords in ~/.pgpass
    or PGPASSWORD."""
    images: tuple[str, ...] = ()
    """Images to process: paths or glob patterns."""
    n_workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Number of processes that measure images. 0 starts one per core."""
    image_timeout_seconds: Seconds = 600.0
    """Time, in s, after which a process that hangs on an image is ended. The image is then retried."""
    run_timeout_seconds: Annotated[float, Field(ge=0, le=1e8)] = 0.0
    """Time, in s, after which a Prefect run stops before its next timestep. Another run can continue it. 0 sets no
    limit."""
    group_size: Count = 0
    """Number of timesteps in a group, which is a Prefect subflow. 0 chooses the number: at least ten, and as many as
    half a minute allows."""
    granularity: Literal["auto", "image", "timestep"] = "auto"
    """Unit of work in a Prefect task: `"image"` makes each step of an image a task, `"timestep"` each timestep.
    `"auto"` chooses by the time that timesteps take, and lets short steps or timesteps share tasks of about three
    seconds."""
    late_images: Literal["refuse", "store"] = "refuse"
    """Images from before the newest stored timestep: `"refuse"` leaves them out, `"store"` measures and stores them
    without association."""
    after_failure: Literal["go on", "stop"] = "go on"
    """After a timestep failed for a lasting reason: `"go on"` continues with the next one, `"stop"` ends the run, so
    that the timestep can be processed in its order later."""
    wait_for_dataset: bool = False
    """Whether a run waits while another run is writing the dataset. If false, the run ends at once."""
    without_server: Literal["go on", "stop"] = "go on"
    """After the Prefect server of a run is lost: `"go on"` continues the run without it, `"stop"` ends the run before
    its next timestep. All processed timesteps are stored in any case."""
    keep_pixels: Literal["no", "cutouts", "images"] = "no"
    """Pixels that are kept next to the database, as FITS files: `"no"` keeps none, `"cutouts"` keeps cut-outs around
    candidates and monitored positions, `"images"` keeps whole images."""
    pixel_directory: str = ""
    """Folder for kept pixels. Empty: the path of an SQLite file with .pixels added; a PostgreSQL database needs a
    folder."""
    dask: Annotated[str, Field(pattern=r"^(tcp|tls|ucx)://\S+$|^$"), AfterValidator(_checked_cluster)] = ""
    """Address (tcp://HOST:PORT) of a Dask cluster that measures the images. Empty: processes on this machine do."""
    metrics: Address = ""
    """Address (HOST:PORT) at which counters of the run are served to Prometheus. Empty serves none."""
    pictures: str = "trap-pictures"
    """Folder for the pictures of new sources without a page in Prefect; the number of pages per run is limited."""
    report: bool = True
    """Whether a run with Prefect writes a report of its dataset at its end: an HTML file next to an SQLite database,
    or else in the folder of pictures. It takes a few seconds."""
