"""Inputs of quality checks for a good image, with changes that tests request."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
from made_up_survey import Field

from trap.calibration.history import CalibrationHistory
from trap.config import PipelineConfig
from trap.images.metadata import ImageMetadata
from trap.quality import (
    AcceptedImages,
    CalibrationInput,
    CatalogueInput,
    EarlierInput,
    HistoryKey,
    ImageInput,
    SourceInput,
)

GOOD = replace(Field().image(0).metadata, centre_ra=212.836, centre_dec=52.2025)
NOISE = np.random.default_rng(4).normal(size=(100, 100))
NOW = GOOD.taustart_ts + timedelta(days=1)
HEADER = {item.name for item in fields(ImageMetadata)}


def image_input(data=NOISE, rms=1.0, now=NOW, **changes):
    """Make an input; changes are values of the header, of ``quality``, or (``limit_…``) of ``quality_lofar``."""
    metadata, config = header_and_config(changes)
    return ImageInput(data=data, rms=rms, metadata=metadata, config=config, now=now)


def source_input(n_negative, *, n_sources=0, n_beams=0.0, **changes):
    metadata, config = header_and_config(changes)
    return SourceInput(n_negative=n_negative, n_sources=n_sources, n_beams=n_beams, metadata=metadata, config=config)


def earlier_input(rms=1.0, pixel_hash="", key=HistoryKey(0, 1, ""), earlier=None, **changes):  # noqa: B008 (frozen)
    metadata, config = header_and_config(changes)
    accepted = AcceptedImages(config.quality) if earlier is None else earlier
    return EarlierInput(rms=rms, pixel_hash=pixel_hash, key=key, earlier=accepted, metadata=metadata, config=config)


def catalogue_input(*, n_new, n_known, **changes):
    metadata, config = header_and_config(changes)
    return CatalogueInput(n_new=n_new, n_known=n_known, metadata=metadata, config=config)


def calibration_input(calibration, earlier, **changes):
    """Make an input with the calibrations of earlier images of the same band."""
    metadata, config = header_and_config(changes)
    history = CalibrationHistory()
    for one in earlier:
        history.remember("band", one)
    return CalibrationInput(calibration=calibration, history=history, key="band", metadata=metadata, config=config)


def header_and_config(changes):
    header = {name: value for name, value in changes.items() if name in HEADER}
    limits = {name.removeprefix("limit_"): value for name, value in changes.items() if name.startswith("limit_")}
    quality = {name: value for name, value in changes.items() if name not in HEADER and not name.startswith("limit_")}
    return replace(GOOD, **header), PipelineConfig().with_options(quality=quality, quality_lofar=limits)
