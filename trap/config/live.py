"""The settings of live mode: where images come from, and how long one waits for whom."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trap.config.sections import Address, Count, NotNegative, Positive, Settings

__all__ = ["LiveConfig"]


class LiveConfig(Settings):
    """A stream of images that is processed as it comes; nothing here changes the result of an image."""

    folder: str = ""
    """Folder in which images arrive; it is looked at again and again."""
    patterns: tuple[str, ...] = ("*.fits",)
    """Names of images in that folder, as in a shell."""
    settle_seconds: NotNegative = 2.0
    """Time for which a file must not change to be taken as complete, where no marker FILE.done says so."""
    streams: tuple[Annotated[Address, Field(min_length=1)], ...] = ()
    """Addresses (host:port) that send images as TraP's stream does; instead of a folder."""
    pixel_order: Literal["x-fastest", "y-fastest"] = "x-fastest"
    """Order of the pixels in a stream: as in a FITS file, or transposed, as TraP's own emulator sent them."""
    spool: str = "trap-stream"
    """Folder for the images of a stream."""
    keep_timesteps: Count = 100
    """Timesteps whose images stay in the spool; older files are deleted. 0 keeps all."""
    images_per_timestep: Count = 0
    """Images that make a timestep complete; 0 takes the most that one of the latest ten had."""
    timestep_timeout_seconds: Positive = 10.0
    """Time after its first image at which a timestep is closed, whoever is missing."""
    max_lag_seconds: Positive = 60.0
    """Timesteps that could only be stored later than this after their images came are left out."""
    idle_seconds: NotNegative = 0.0
    """Time without a new image after which the run ends; 0 goes on until it is stopped."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if bool(self.folder) == bool(self.streams):
            msg = f"images come from a folder or from streams: folder {self.folder!r}, streams {list(self.streams)}"
            raise ValueError(msg)
        return self
