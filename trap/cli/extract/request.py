"""The checked arguments of ``transients extract``, as settings, images and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trap.cli.extract.options import DEFAULT_ALPHA
from trap.config import STOKES, PipelineConfig, ReadingConfig, SourceExtractionConfig, load_config
from trap.errors import ConfigError
from trap.images.beam import Beam

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.catalogues import MonitorPositions
    from trap.config import ExecutionConfig
    from trap.images.image import Image

__all__ = ["Request", "make_request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The method and the settings for every image.

    Parameters
    ----------
    config
        Settings of the search and the measurement.
    reading
        HDU and plane to read from every image, and values that override its header.
    execution
        Number of worker processes, and time limit of an image.
    beam
        Restoring beam in place of the headers'; None keeps the headers'.
    alpha
        Share of false pixels, if a false discovery rate (FDR) sets the threshold; else None.
    analysis_threshold
        σ — analysis threshold with an FDR; None uses the detection threshold of the FDR.
    detection_image
        Path of the image whose sources are measured; empty for a search or given positions.
    positions
        Positions that are measured; None for a search or a detection image.
    """

    config: SourceExtractionConfig
    reading: ReadingConfig
    execution: ExecutionConfig
    beam: Beam | None
    alpha: float | None
    analysis_threshold: float | None
    detection_image: str
    positions: MonitorPositions | None

    def image(self, path: str) -> Image:
        """Open an image, with the beam of the request if there is one."""
        # Imported by the worker processes, which are started before.
        from trap.images.image import Image

        image = Image(path, self.reading)
        return image if self.beam is None else image.with_beam(self.beam)


def make_request(arguments: Namespace) -> Request:
    """Check the arguments against each other and read the files that they name.

    Parameters
    ----------
    arguments
        Arguments of :func:`trap.cli.extract.options.add_extract_options`.

    Raises
    ------
    ConfigError
        If they contradict each other, or a value is impossible.
    """
    _check_choice(arguments)
    config = _config(arguments)
    return Request(
        config=config.source_extraction,
        reading=config.reading,
        beam=_beam(arguments),
        alpha=_alpha(arguments),
        analysis_threshold=arguments.analysis_threshold,
        execution=config.execution,
        detection_image=arguments.detection_image or "",
        positions=None if arguments.fixed_positions is None else _positions(arguments.fixed_positions),
    )


def _check_choice(arguments: Namespace) -> None:
    """Refuse options that contradict each other."""
    is_forced = arguments.fixed_positions is not None or arguments.detection_image is not None
    if arguments.alpha is not None and not arguments.fdr:
        raise ConfigError("--alpha is the share of false pixels that --fdr allows; give both, or neither")
    if arguments.fdr and arguments.detection_threshold is not None:
        raise ConfigError("--fdr finds the detection threshold itself; leave out --detection-threshold")
    if is_forced and arguments.free:
        raise ConfigError("positions are measured with the shape of the beam; leave out --free")
    if is_forced and arguments.negative:
        raise ConfigError("positions are measured with either sign; leave out --negative")
    if not is_forced and arguments.box is not None:
        raise ConfigError("--box is for --fixed-positions and --detection-image; islands have the size that they have")


def _alpha(arguments: Namespace) -> float | None:
    if not arguments.fdr:
        return None
    alpha = DEFAULT_ALPHA if arguments.alpha is None else float(arguments.alpha)
    if not 0 < alpha < 1:
        msg = f"--alpha must lie between 0 and 1, got {alpha:g}"
        raise ConfigError(msg)
    return alpha


def _config(arguments: Namespace) -> PipelineConfig:
    """Return the settings of the file, or the defaults, replaced by the options."""
    base = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    by_setting = {
        "detection_threshold": arguments.detection_threshold,
        # With an FDR it can be checked only when the detection threshold is known.
        "analysis_threshold": None if arguments.fdr else arguments.analysis_threshold,
        "back_size_x": arguments.grid,
        "back_size_y": arguments.grid,
        "margin": arguments.margin,
        "extraction_radius_pix": arguments.radius,
        "box_in_beampix": arguments.box,
        "negative": "".join(STOKES) if arguments.negative else None,
    }
    options: dict[str, Any] = {setting: value for setting, value in by_setting.items() if value is not None}
    if arguments.no_deblend:
        options["deblend_nthresh"] = 0
    elif arguments.deblend:
        options["deblend_nthresh"] = base.source_extraction.deblend_nthresh or 32
    if arguments.force_beam or arguments.free:
        options["force_beam"] = arguments.force_beam
    return base.with_options(source_extraction=options)


def _beam(arguments: Namespace) -> Beam | None:
    """Return the beam of the options; None if there are none, an error if some are missing."""
    values = {name: getattr(arguments, name) for name in ("bmaj", "bmin", "bpa")}
    missing = [f"--{name}" for name, value in values.items() if value is None]
    if len(missing) == len(values):
        return None
    if missing:
        msg = f"a beam is --bmaj, --bmin and --bpa; {' and '.join(missing)} missing"
        raise ConfigError(msg)
    try:
        return Beam(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _positions(text: str) -> MonitorPositions:
    # The reader of VOTables is slow to import.
    from trap.config.monitors import load_monitors, parse_positions

    return parse_positions(text) if text.lstrip().startswith("[") else load_monitors(text)
