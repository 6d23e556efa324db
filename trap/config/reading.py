"""How image files are read, and what is known of them that their headers do not say."""

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from trap.config.sections import Count, NotNegative, Positive, Settings

__all__ = ["DEFAULT_READING", "Given", "ReadingConfig"]

Angle = Annotated[float, Field(allow_inf_nan=False)]
Moment = Annotated[datetime, AfterValidator(lambda time: time.replace(tzinfo=time.tzinfo or UTC))]


class Given(Settings):
    """What holds for some images, whatever their headers say or leave out; TraP's names for it."""

    match: str = "*"
    """Pattern of the images' names, or of their whole paths."""
    taustart_ts: Moment | None = None
    """Start of the observation; UTC where no time zone is named."""
    tau_time: NotNegative | None = None
    """Duration, in s."""
    freq_eff: Positive | None = None
    """Frequency, in Hz."""
    freq_bw: Positive | None = None
    """Bandwidth, in Hz."""
    bmaj: Positive | None = None
    """Major axis of the restoring beam (full width at half maximum), in deg; bmin is needed with it."""
    bmin: Positive | None = None
    """Its minor axis, in deg."""
    bpa: Angle | None = None
    """Its position angle, north through east, in deg."""
    telescope: str | None = None
    """Name of the telescope."""
    unit: str | None = None
    """Unit of the pixels."""
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
            msg = f"a beam is bmaj and bmin, got bmaj {self.bmaj} and bmin {self.bmin}"
            raise ValueError(msg)
        if self.bmaj is not None and self.bmin is not None and self.bmin > self.bmaj:
            msg = f"bmin {self.bmin} deg is larger than bmaj {self.bmaj} deg"
            raise ValueError(msg)
        return self

    def applies_to(self, url: str) -> bool:
        """Tell whether the pattern matches the path of an image, or the last part of it."""
        return fnmatchcase(url, self.match) or fnmatchcase(PurePath(url).name, self.match)


class ReadingConfig(Settings):
    """How image files are read, and what holds for them whatever their headers say."""

    hdu: str = ""
    """FITS unit that holds the image, by name or number (0 is the first); empty takes the first with two axes."""
    stokes: str = ""
    """Stokes parameter taken from a cube, such as I or V; empty takes the first."""
    channel: Count = 0
    """Plane taken along the frequency axis of a cube; 0 is the first."""
    given: tuple[Given, ...] = ()
    """Tables [[reading.given]] of what holds for the images that match a pattern; later ones win."""

    def given_for(self, url: str) -> Given:
        """Put together all that is given for one image; the later of two that match wins."""
        values: dict[str, Any] = {}
        for given in self.given:
            if given.applies_to(url):
                values |= given.model_dump(exclude_none=True)
        return Given(**values)


DEFAULT_READING = ReadingConfig()
"""The settings of a file that needs none: its first image and plane, under its own header."""
