"""The settings of live mode: the image source, and how long to wait for late images."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trap.config.sections import Address, Count, Seconds, SecondsOrNone, Settings

__all__ = ["LiveConfig"]


class LiveConfig(Settings):
    """Source and pace of images that are processed as they arrive; the measurements in an image do not depend on it."""

    folder: str = ""
    """Folder where images arrive; it is scanned repeatedly."""
    patterns: tuple[str, ...] = ("*.fits",)
    """Names of images in that folder, as shell patterns."""
    settle_seconds: SecondsOrNone = 5.0
    """Time, in s, without a change after which a file is complete. A marker file FILE.done completes it at once."""
    streams: tuple[Annotated[Address, Field(min_length=1)], ...] = ()
    """Addresses (HOST:PORT) of senders in the format of TraP's stream; they take the place of the folder."""
    pixel_order: Literal["x-fastest", "y-fastest"] = "x-fastest"
    """Order of the pixels in a stream: `"x-fastest"` as in a FITS file, or `"y-fastest"` as TraP's own emulator sends
    them."""
    spool: str = "trap-stream"
    """Folder for the images of a stream, which are stored as files."""
    keep_timesteps: Count = 100
    """Number of the latest timesteps whose images stay in that folder; older files are deleted. 0 keeps all."""
    images_per_timestep: Count = 0
    """Number of images that complete a timestep. 0 uses the largest number that one of the latest ten timesteps
    had."""
    timestep_timeout_seconds: Seconds = 10.0
    """Time, in s, after its first image at which a timestep is closed, even if images are missing. A larger value
    waits longer for late images, and increases the lag if images are missing."""
    max_lag_seconds: Seconds = 60.0
    """Largest time, in s, between the arrival of the last image of a timestep and its storage. Timesteps that would
    exceed it are left out, so that the lag stays bounded."""
    idle_seconds: SecondsOrNone = 0.0
    """Time, in s, without a new image after which the run ends. 0 continues until the run is stopped."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if bool(self.folder) == bool(self.streams):
            msg = f"name either a folder or streams; got folder {self.folder!r} and streams {list(self.streams)}"
            raise ValueError(msg)
        return self
