"""The settings of reading: the plane of a file, and values that override its header."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from trap.config.sections import MAX_NUMBER, Count, NotNegative, Positive, Settings, checked_stokes

__all__ = ["DEFAULT_READING", "Given", "ReadingConfig"]

Angle = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Start = Annotated[datetime, AfterValidator(lambda start: start.replace(tzinfo=start.tzinfo or UTC))]


class Given(Settings):
    """Values for some images that override their headers; the names are TraP's."""

    match: str = "*"
    """Shell pattern of the names of the images, or of their whole paths."""
    taustart_ts: Start | None = None
    """Start of the observation; in UTC unless it has a time zone."""
    tau_time: NotNegative | None = None
    """Duration of the observation, in s."""
    freq_eff: Positive | None = None
    """Central frequency, in Hz."""
    freq_bw: Positive | None = None
    """Bandwidth, in Hz."""
    bmaj: Positive | None = None
    """Major axis of the restoring beam (full width at half maximum), in deg; it requires bmin."""
    bmin: Positive | None = None
    """Minor axis of the restoring beam (full width at half maximum), in deg; it requires bmaj."""
    bpa: Angle | None = None
    """Position angle of the restoring beam, north through east, in deg."""
    stokes: Annotated[str, AfterValidator(checked_stokes)] | None = None
    """Stokes parameter, such as V, of files without a Stokes axis or with one of length one."""
    telescope: str | None = None
    """Name of the telescope."""
    unit: str | None = None
    """Unit of the pixels, such as mJy/beam."""
    antenna_set: str | None = None
    """LOFAR: antenna set, such as HBA_DUAL; with the five settings below the theoretical noise is checked."""
    subbands: Count | None = None
    """LOFAR: number of subbands."""
    subbandwidth: Positive | None = None
    """LOFAR: width of a subband, in Hz."""
    ncore: Count | None = None
    """LOFAR: number of core stations."""
    nremote: Count | None = None
    """LOFAR: number of remote stations."""
    nintl: Count | None = None
    """LOFAR: number of international stations."""

    @model_validator(mode="after")
    def _check_beam(self) -> Self:
        if (self.bmaj is None) != (self.bmin is None):
            msg = f"a beam needs both bmaj and bmin, got bmaj {self.bmaj} and bmin {self.bmin}"
            raise ValueError(msg)
        if self.bmaj is not None and self.bmin is not None and self.bmin > self.bmaj:
            msg = f"bmin {self.bmin} deg is larger than bmaj {self.bmaj} deg"
            raise ValueError(msg)
        return self

    def applies_to(self, url: str) -> bool:
        """Return whether the pattern matches the path of an image, or the last part of the path."""
        return fnmatchcase(url, self.match) or fnmatchcase(PurePath(url).name, self.match)


class ReadingConfig(Settings):
    """Which image and plane of a file are read, and values that override the header."""

    hdu: str = ""
    """HDU of a FITS file that holds the image, by name or number (0 is the first). Empty: the first HDU with two axes
    or more."""
    stokes: Annotated[str, AfterValidator(lambda letter: letter and checked_stokes(letter))] = ""
    """Stokes parameter to read from a cube, such as I or V. Empty: the first of the cube. An image of any other Stokes
    parameter is refused."""
    channel: Count = 0
    """Number of the plane to read along the frequency axis of a cube; 0 is the first."""
    catalogues: str = ""
    """Source lists of another finder, which take the place of the search: a pattern such as `{stem}*.components.txt`,
    relative to the folder of each image, or the path of a table with the columns `image` and `catalogue`. Empty: the
    pipeline searches the images."""
    given: tuple[Given, ...] = ()
    """Tables `[[reading.given]]` of values for the images that match a pattern. If several match, the values of
    later tables override earlier ones."""

    def given_for(self, url: str) -> Given:
        """Merge the values of all patterns that match an image; later patterns have precedence."""
        values: dict[str, Any] = {}
        for given in self.given:
            if given.applies_to(url):
                values |= given.model_dump(exclude_none=True)
        return Given(**values)


DEFAULT_READING = ReadingConfig()
"""Default settings of reading: the first image and plane of a file, with the values of its header."""
