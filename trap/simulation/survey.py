"""Simulate a survey: images with known transients and variables, and tables of the truth.

The results of the pipeline can be compared with the truth on any machine, without a download.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.table import Column, Table
from scipy.spatial import KDTree

from trap.angles import separation
from trap.images.headers.projection import celestial_wcs
from trap.simulation.config import SurveyConfig
from trap.simulation.image_errors import ImageErrors, draw_errors
from trap.simulation.pixels import broadened_form, noise_transfer, render_noise, render_sources
from trap.simulation.sidelobes import Rings, render_sidelobes
from trap.simulation.sky import Sky, draw_sky

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = ["Survey", "SurveyConfig", "Truth", "foreign_images", "load_truth", "simulate_survey"]

_SOURCES_FILE = "truth.ecsv"
_LIGHTCURVES_FILE = "truth_lightcurves.ecsv"
_IMAGES_FILE = "truth_images.ecsv"
_DISPLACEMENTS = ("shift_ew", "shift_ns")
_IMAGE_PATTERN = "t[0-9]*_b[0-9]*.fits"
"""Names of the images, as :func:`_image_name` makes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The sources of a simulated survey, their light curves, and the calibration errors of its images.

    Positions and flux densities are true: calibration errors of the images are not included.

    Parameters
    ----------
    sources
        One row a source: ``name``, ``kind`` (steady, variable, transient), ``shape`` of the light
        curve, ``ra`` and ``dec`` (deg, ICRS), ``x`` and ``y`` (0-based pixels),
        ``spectral_index``, ``mean_flux`` (Jy; one number a band), ``modulation`` (standard
        deviation over mean), ``max_snr`` (one number a band), ``first_timestep`` (the first one
        with a flux density above zero), ``doubled_at`` (the first timestep in which a doubled member of
        a close pair is doubled; -1 for other sources), and ``neighbour`` and ``neighbour_distance``
        (arcsec): name and distance of the nearest other source, an empty name and infinity without one.
    lightcurves
        One row a source, timestep and band: ``name``, ``timestep``, ``band``, ``flux`` (Jy),
        ``snr``, and ``shift_ew`` and ``shift_ns`` (arcsec): the displacement of the source in this
        image from its true position, to the east and to the north.
    images
        One row an image: ``image`` (name of the file), ``timestep``, ``band``, ``gain`` (measured
        over true flux density), ``shift_ew`` and ``shift_ns`` (arcsec; shift of the whole image, as
        above, at its centre), ``refraction_rms`` (arcsec; root mean square refraction of the
        sources along one axis), ``decorrelation`` (fraction by which peaks are lowered), ``sidelobes``
        (level of the first ring around each source as a fraction of its peak, negative for a hole) and
        ``sidelobe_angle`` (deg; angle by which the rings are turned). Empty for surveys of earlier
        versions, which have no such table.
    """

    sources: Table
    lightcurves: Table
    images: Table = field(default_factory=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A simulated survey on disk.

    Parameters
    ----------
    directory
        Folder of the images and the truth.
    images
        Image files in order of time and, within a timestep, of frequency.
    truth
        Sources and light curves.
    """

    directory: Path
    images: tuple[Path, ...]
    truth: Truth


def simulate_survey(directory: str | Path, config: SurveyConfig | None = None) -> Survey:
    """Simulate the images of a survey and write them, with the truth, to a folder.

    Parameters
    ----------
    directory
        Folder, which is made if it does not exist. An earlier simulated survey in it is replaced.
    config
        Settings of the survey. None stands for the defaults, which take a few seconds.

    Raises
    ------
    ConfigError
        If the field has no room for as many sources as the settings require.
    """
    config = SurveyConfig() if config is None else config
    directory = Path(directory)
    rng = np.random.default_rng(config.seed)
    # Spawned first, so that errors do not depend on how many kinds of sources have numbers of their own.
    (error_rng,) = rng.spawn(1)
    sky = draw_sky(config, rng)
    directory.mkdir(parents=True, exist_ok=True)
    _remove_earlier_survey(directory)
    errors = draw_errors(config, sky, celestial_wcs(_header(config, 0, 0)), error_rng)
    truth = Truth(
        sources=_source_table(config, sky),
        lightcurves=_lightcurve_table(config, sky, errors),
        images=_image_table(errors),
    )
    truth.sources.write(directory / _SOURCES_FILE, overwrite=True)
    truth.images.write(directory / _IMAGES_FILE, overwrite=True)
    # Displacements that are all zero are left out of the file, which then has its earlier form.
    left_out = () if config.has_displacements else _DISPLACEMENTS
    curves = truth.lightcurves[[name for name in truth.lightcurves.colnames if name not in left_out]]
    curves.write(directory / _LIGHTCURVES_FILE, overwrite=True)
    images = tuple(_write_images(directory, config, sky, errors, rng))
    return Survey(directory=directory, images=images, truth=truth)


def load_truth(directory: str | Path) -> Truth:
    """Read the truth of a simulated survey from its folder, also of a survey that an earlier version simulated.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold a simulated survey.
    """
    folder = Path(directory)
    sources, curves = Table.read(folder / _SOURCES_FILE), Table.read(folder / _LIGHTCURVES_FILE)
    for name in _DISPLACEMENTS:
        if name not in curves.colnames:
            curves[name] = Column(np.zeros(len(curves)), unit="arcsec")
    images = Table.read(folder / _IMAGES_FILE) if (folder / _IMAGES_FILE).exists() else Table()
    return Truth(sources=sources, lightcurves=curves, images=images)


def foreign_images(directory: str | Path) -> list[Path]:
    """List images in a folder that have names like simulated images, but that a new survey does not replace.

    Parameters
    ----------
    directory
        Folder of a survey; it may be missing.
    """
    folder = Path(directory)
    replaced = set(folder.glob(_IMAGE_PATTERN)) if (folder / _SOURCES_FILE).exists() else set()
    return sorted(set(folder.glob("t*.fits")) - replaced)


def _remove_earlier_survey(directory: Path) -> None:
    """Remove the images of an earlier simulated survey. A folder without its truth is not touched."""
    if (directory / _SOURCES_FILE).exists():
        for path in directory.glob(_IMAGE_PATTERN):
            path.unlink()


def _write_images(
    directory: Path, config: SurveyConfig, sky: Sky, errors: ImageErrors, rng: np.random.Generator
) -> Iterator[Path]:
    """Write all images and yield their paths, in the order of time and frequency."""
    shape = (config.size, config.size)
    form = config.beam.quadratic_form(-config.pixel_scale, config.pixel_scale)
    transfer = noise_transfer(form, shape)
    for timestep in range(config.n_timesteps):
        # Numbers that earlier versions drew for errors. Without them a seed would give other images than before.
        rng.standard_normal(3)
        for band in range(config.n_bands):
            image = (timestep, band)
            lowered = errors.decorrelation[image]
            sources = render_sources(
                errors.x[:, timestep, band],
                errors.y[:, timestep, band],
                (1 - lowered) * errors.gain[image] * sky.flux[:, timestep, band],
                beam_form=broadened_form(form, lowered),
                shape=shape,
            )
            rings = _sidelobes(config, sky, errors, image, form)
            pixels = sources + rings + config.rms * render_noise(rng, transfer, shape)
            yield _write_image(directory, config, pixels, timestep, band)


def _sidelobes(
    config: SurveyConfig, sky: Sky, errors: ImageErrors, image: tuple[int, int], form: tuple[float, float, float]
) -> Array | float:
    """Render the sidelobes of an image, (ny, nx) in Jy/beam, which widen with the wavelength."""
    if not errors.sidelobes[image]:
        return 0.0
    timestep, band = image
    wavelength = config.frequency_hz / config.frequencies_hz[band]
    return render_sidelobes(
        errors.x[:, timestep, band],
        errors.y[:, timestep, band],
        errors.sidelobes[image] * errors.gain[image] * sky.flux[:, timestep, band],
        rings=Rings(
            spacing=config.sidelobe_spacing_beams * wavelength,
            n_rings=config.sidelobe_rings,
            n_spokes=config.sidelobe_spokes,
        ),
        angle=float(np.radians(errors.sidelobe_angle[timestep])),
        beam_form=form,
        shape=(config.size, config.size),
        noise=config.rms,
    )


def _image_name(timestep: int, band: int) -> str:
    """Name the file of an image, as ``_IMAGE_PATTERN`` expects it."""
    return f"t{timestep:04d}_b{band:02d}.fits"


def _write_image(directory: Path, config: SurveyConfig, pixels: NDArray[np.floating], timestep: int, band: int) -> Path:
    """Write one image as a FITS file with four axes: right ascension, declination, frequency, Stokes."""
    path = directory / _image_name(timestep, band)
    planes = pixels[np.newaxis, np.newaxis].astype(np.float32)
    fits.writeto(path, planes, _header(config, timestep, band), overwrite=True)
    return path


def _header(config: SurveyConfig, timestep: int, band: int) -> fits.Header:
    """Make the header of one image. The projection is the same for all images of the survey."""
    middle, beam = (config.size + 1) / 2, config.beam
    start = config.start + timedelta(seconds=timestep * config.cadence_seconds)
    axes = [
        ("RA---SIN", config.centre_ra, middle, -config.pixel_scale, "deg"),
        ("DEC--SIN", config.centre_dec, middle, config.pixel_scale, "deg"),
        ("FREQ", config.frequencies_hz[band], 1.0, config.channel_hz, "Hz"),
        ("STOKES", 1.0, 1.0, 1.0, ""),
    ]
    keywords: dict[str, str | float] = {}
    for number, (ctype, crval, crpix, cdelt, cunit) in enumerate(axes, 1):
        keywords |= {
            f"CTYPE{number}": ctype,
            f"CRVAL{number}": crval,
            f"CRPIX{number}": crpix,
            f"CDELT{number}": cdelt,
            f"CUNIT{number}": cunit,
        }
    keywords |= {
        "RADESYS": "ICRS",
        "BUNIT": "JY/BEAM",
        "BMAJ": beam.bmaj,
        "BMIN": beam.bmin,
        "BPA": beam.bpa,
        # Without an offset, as TIMESYS names the time scale.
        "DATE-OBS": start.replace(tzinfo=None).isoformat(timespec="microseconds"),
        "TIMESYS": "UTC",
        "TAU_TIME": config.duration_seconds,
        "TELESCOP": "SIMULATED",
    }
    return fits.Header(keywords)


def _source_table(config: SurveyConfig, sky: Sky) -> Table:
    """Make the table of sources, see :class:`Truth`."""
    ra, dec = celestial_wcs(_header(config, 0, 0)).all_pix2world(sky.x, sky.y, 0)
    neighbour = _neighbours(sky.x, sky.y)
    has_neighbour = neighbour != np.arange(len(sky.x))
    mean = sky.flux.mean(axis=1)
    spread = sky.flux[:, :, 0].std(axis=1, ddof=1) if config.n_timesteps > 1 else np.zeros(len(sky.x))
    return Table(
        {
            "name": sky.name,
            "kind": sky.kind,
            "shape": sky.shape,
            "ra": ra,
            "dec": dec,
            "x": sky.x,
            "y": sky.y,
            "spectral_index": sky.spectral_index,
            "mean_flux": mean,
            "modulation": spread / mean[:, 0],
            "max_snr": sky.flux.max(axis=1) / config.rms,
            "first_timestep": np.argmax(sky.flux[:, :, 0] > 0, axis=1),
            "doubled_at": np.where(sky.shape == "doubled", config.doubling_timestep, -1),
            "neighbour": np.where(has_neighbour, sky.name[neighbour], ""),
            "neighbour_distance": np.where(
                has_neighbour, 3600 * separation(ra, dec, ra[neighbour], dec[neighbour]), np.inf
            ),
        },
        units={"ra": "deg", "dec": "deg", "x": "pix", "y": "pix", "mean_flux": "Jy", "neighbour_distance": "arcsec"},
    )


def _neighbours(x: Array, y: Array) -> NDArray[np.intp]:
    """Find the nearest other source of each source, (n,); the source itself if it is the only one."""
    if len(x) < 2:
        return np.arange(len(x))
    _, nearest = KDTree(np.column_stack([x, y])).query(np.column_stack([x, y]), k=2)
    # Of two sources at one place, either one may come first.
    others: NDArray[np.intp] = np.where(nearest[:, 1] == np.arange(len(x)), nearest[:, 0], nearest[:, 1])
    return others


def _lightcurve_table(config: SurveyConfig, sky: Sky, errors: ImageErrors) -> Table:
    """Make the table of light curves, see :class:`Truth`."""
    # Index of the source, timestep and band of each row.
    source, timestep, band = (index.ravel() for index in np.indices(sky.flux.shape))
    flux = sky.flux.ravel()
    columns = {
        "name": sky.name[source],
        "timestep": timestep,
        "band": band,
        "flux": flux,
        "snr": flux / config.rms,
        "shift_ew": errors.ew.ravel(),
        "shift_ns": errors.ns.ravel(),
    }
    return Table(columns, units={"flux": "Jy", "shift_ew": "arcsec", "shift_ns": "arcsec"})


def _image_table(errors: ImageErrors) -> Table:
    """Make the table of images, see :class:`Truth`."""
    timestep, band = (index.ravel() for index in np.indices(errors.gain.shape))
    columns = {
        "image": [_image_name(*image) for image in zip(timestep.tolist(), band.tolist(), strict=True)],
        "timestep": timestep,
        "band": band,
        "gain": errors.gain.ravel(),
        "shift_ew": errors.shift_ew[timestep],
        "shift_ns": errors.shift_ns[timestep],
        "refraction_rms": errors.refraction_rms.ravel(),
        "decorrelation": errors.decorrelation.ravel(),
        "sidelobes": errors.sidelobes.ravel(),
        "sidelobe_angle": errors.sidelobe_angle[timestep],
    }
    units = dict.fromkeys(("shift_ew", "shift_ns", "refraction_rms"), "arcsec")
    return Table(columns, units={**units, "sidelobe_angle": "deg"})
