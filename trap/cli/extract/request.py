"""What ``trap extract`` is asked for: its arguments, checked, as settings and images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trap.cli.extract.options import DEFAULT_ALPHA, FINDER_DEFAULTS
from trap.config import PipelineConfig, SourceExtractionConfig, load_config
from trap.errors import ConfigError
from trap.images.beam import Beam
from trap.images.image import Image

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.catalogues import MonitorPositions

__all__ = ["Request", "make_request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of every image.

    Parameters
    ----------
    config
        How sources are found and measured.
    beam
        Takes the place of the images' own.
    alpha
        Share of false pixels, where an FDR decides.
    analysis_threshold
        σ — with an FDR; None takes the threshold that the FDR comes to.
    detection_image
        Image whose sources are measured, if that is what decides.
    positions
        Positions that are measured, if these are what decides.
    has_holes
        Whether what stands below the background is looked for as well.
    """

    config: SourceExtractionConfig
    beam: Beam | None
    alpha: float | None
    analysis_threshold: float | None
    detection_image: Image | None
    positions: MonitorPositions | None
    has_holes: bool

    def image(self, path: str) -> Image:
        """An image, under the beam that was given for it."""
        image = Image(path)
        return image if self.beam is None else image.with_beam(self.beam)


def make_request(arguments: Namespace) -> Request:
    """Check the arguments against each other and read the files that they name.

    Raises
    ------
    ConfigError
        If they contradict each other, or a value is impossible.
    ImageError
        If the detection image cannot be used.
    """
    _check_choice(arguments)
    request = Request(
        config=_config(arguments),
        beam=_beam(arguments),
        alpha=_alpha(arguments),
        analysis_threshold=arguments.analysis_threshold,
        detection_image=None,
        positions=None if arguments.fixed_positions is None else _positions(arguments.fixed_positions),
        has_holes=arguments.negative,
    )
    if arguments.detection_image is None:
        return request
    image = request.image(arguments.detection_image)
    # Now rather than at every image: without it there is nothing to do at all.
    image.require_beam()
    return replace(request, detection_image=image)


def _check_choice(arguments: Namespace) -> None:
    is_forced = arguments.fixed_positions is not None or arguments.detection_image is not None
    if arguments.alpha is not None and not arguments.fdr:
        raise ConfigError("--alpha is the share of false pixels that --fdr allows; give both, or neither")
    if arguments.fdr and arguments.detection_threshold is not None:
        raise ConfigError("--fdr finds the detection threshold itself; leave out --detection-threshold")
    if is_forced and arguments.free:
        raise ConfigError("positions are measured with the shape of the beam; leave out --free")
    if is_forced and arguments.negative:
        raise ConfigError("positions are measured whatever the sign of what is there; leave out --negative")
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


def _config(arguments: Namespace) -> SourceExtractionConfig:
    """Settings of the file, or PySE's, with the options put over them."""
    base = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    options: dict[str, Any] = {} if arguments.config is not None else dict(FINDER_DEFAULTS)
    given = {
        "detection_threshold": arguments.detection_threshold,
        # An FDR comes to a threshold first.
        "analysis_threshold": None if arguments.fdr else arguments.analysis_threshold,
        "back_size_x": arguments.grid,
        "back_size_y": arguments.grid,
        "margin": arguments.margin,
        "extraction_radius_pix": arguments.radius,
        "box_in_beampix": arguments.box,
    }
    options |= {setting: value for setting, value in given.items() if value is not None}
    if arguments.no_deblend:
        options["deblend_nthresh"] = 0
    elif arguments.deblend:
        options["deblend_nthresh"] = base.source_extraction.deblend_nthresh or 32
    if arguments.force_beam or arguments.free:
        options["force_beam"] = arguments.force_beam
    return base.with_options(source_extraction=options).source_extraction


def _beam(arguments: Namespace) -> Beam | None:
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
    # VOTables, which a file may be, take a while to import.
    from trap.config.monitors import load_monitors, parse_positions

    return parse_positions(text) if text.lstrip().startswith("[") else load_monitors(text)
