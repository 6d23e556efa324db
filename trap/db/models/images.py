"""Tables of the images: position, time, frequency and quality."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from trap.db.models.base import Base, described, identifier, reference

__all__ = [
    "EpochCorrelation",
    "FrequencyBand",
    "Image",
    "ImageData",
    "RejectReason",
    "Rejection",
    "RmsMap",
    "SkyRegion",
]


class FrequencyBand(Base):
    """Images whose frequency intervals overlap; their flux densities form one light curve."""

    __tablename__ = "frequencyband"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the band.")
    freq_central: Mapped[float] = described("Central frequency of the first image of the band.", "Hz", ucd="em.freq")
    freq_low: Mapped[float] = described("Lower end of the frequency interval.", "Hz")
    freq_high: Mapped[float] = described("Upper end of the frequency interval.", "Hz")


class EpochCorrelation(Base):
    """Errors that neighbouring epochs share: one row per lag of a band and Stokes parameter; none if independent.

    The degrees of freedom of `varmetric.eta_p_value` follow from them. They are measured at the end of a run.
    """

    __tablename__ = "epochcorrelation"
    __table_args__ = (UniqueConstraint("band", "stokes", "lag"),)
    id: Mapped[int] = identifier()
    band: Mapped[int] = reference("frequencyband", "Frequency band of the light curves.", index=False)
    stokes: Mapped[int] = described("Stokes parameter, as numbered in FITS: 1 is I.")
    lag: Mapped[int] = described("Number of epochs between two points of a light curve, from 1 without gaps.")
    correlation: Mapped[float] = described("Correlation of the errors of two such points; 0 beyond the largest lag.")


class SkyRegion(Base):
    """A circle on the sky where images are searched; pointings that nearly coincide share one."""

    __tablename__ = "skyregion"
    __table_args__ = (UniqueConstraint("dataset", "centre_ra", "centre_decl", "xtr_radius"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the region.", index=False)
    centre_ra: Mapped[float] = described("Right ascension of the centre, 0 to 360.", "deg")
    centre_decl: Mapped[float] = described("Declination of the centre.", "deg")
    xtr_radius: Mapped[float] = described("Radius of the circle.", "deg")
    x: Mapped[float] = described("Unit vector of the centre: cos δ cos α.")
    y: Mapped[float] = described("Unit vector of the centre: cos δ sin α.")
    z: Mapped[float] = described("Unit vector of the centre: sin δ.")


class Image(Base):
    """One image at one time in one band."""

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("dataset", "content_hash"),
        Index(None, "dataset", "taustart_ts"),
    )
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset of the image.", index=False)
    timestep: Mapped[int | None] = reference("timestep", "Timestep of the image.")
    band: Mapped[int] = reference("frequencyband", "Frequency band of the image.")
    skyrgn: Mapped[int] = reference("skyregion", "Sky region of the image.")
    tau: Mapped[int | None] = described("Not used; kept from TraP.")
    stokes: Mapped[int] = described(
        "Stokes parameter, as numbered in FITS: 1 is I.", default=1, ucd="phys.polarization.stokes"
    )
    tau_time: Mapped[float | None] = described("Duration of the observation.", "s", ucd="time.duration;obs.exposure")
    freq_eff: Mapped[float] = described("Central frequency.", "Hz", ucd="em.freq")
    freq_bw: Mapped[float | None] = described("Bandwidth.", "Hz", ucd="instr.bandwidth")
    taustart_ts: Mapped[datetime] = described("Start of the observation.", ucd="time.start;obs.exposure")
    rb_smaj: Mapped[float | None] = described("Semi-major axis of the restoring beam at half maximum.", "deg")
    rb_smin: Mapped[float | None] = described("Semi-minor axis of the restoring beam at half maximum.", "deg")
    rb_pa: Mapped[float | None] = described("Position angle of the beam, north through east.", "deg")
    deltax: Mapped[float | None] = described("Width of a pixel; negative if right ascension decreases with x.", "deg")
    deltay: Mapped[float | None] = described("Height of a pixel.", "deg")
    fwhm_arcsec: Mapped[float | None] = described(
        "Full width at half maximum of the beam along its major axis.", "arcsec"
    )
    fov_degrees: Mapped[float | None] = described("Diameter of the sky region.", "deg")
    rms_qc: Mapped[float | None] = described(
        "Noise of the central part; NULL or NaN if it cannot be computed.", "Jy/beam"
    )
    rms_min: Mapped[float | None] = described("Lowest local noise; NULL if the image was not searched.", "Jy/beam")
    rms_max: Mapped[float | None] = described("Highest local noise; NULL if the image was not searched.", "Jy/beam")
    detection_thresh: Mapped[float | None] = described("Significance above which a source is detected.", "sigma")
    analysis_thresh: Mapped[float | None] = described("Significance above which pixels belong to a source.", "sigma")
    url: Mapped[str] = described("Path of the file.")
    content_hash: Mapped[str] = described("BLAKE2b of the file, hexadecimal; the same file is not stored twice.")
    telescope: Mapped[str | None] = described("Telescope; NULL if the header has none.")
    late: Mapped[bool] = described(
        "Whether a later image was stored before it; a late image is not associated.", default=False
    )
    pixel_hash: Mapped[str | None] = described("BLAKE2b of the pixels alone, hexadecimal; NULL if it was not computed.")
    n_pixels: Mapped[int | None] = mapped_column(
        BigInteger, doc="Number of searched pixels; NULL if the image was not searched, or by an earlier version."
    )
    n_beams: Mapped[int | None] = mapped_column(
        BigInteger, doc="Searched area in beams, by the correlation of the noise; NULL as for n_pixels."
    )
    n_negative: Mapped[int | None] = described(
        "Number of negative peaks at the detection threshold; NULL as for n_pixels."
    )
    source_list: Mapped[str | None] = described(
        "Path of the list of its sources by another finder; NULL if this pipeline searched the image. Without an image "
        "it is the url too, and deltax and deltay are NULL."
    )
    finder: Mapped[str | None] = described("Finder that made this list; NULL without a list.")


class ImageData(Base):
    """Header of an image and the file with its pixels; empty unless the settings keep pixels."""

    __tablename__ = "imagedata"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Image of the data.")
    fits_header: Mapped[str | None] = described("Header of the image as text.")
    fits_data: Mapped[bytes | None] = described("Not used; kept from TraP, which put pickled pixels there.")
    path: Mapped[str | None] = described("Path of the FITS file with the pixels, or with cut-outs of them.")
    kind: Mapped[str | None] = described("'images' if the file holds all pixels, 'cutouts' if it holds parts.")


class RmsMap(Base):
    """Background and noise of an image on a coarse mesh, interpolated to any position."""

    __tablename__ = "rmsmap"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Image of the mesh.", unique=True)
    nx: Mapped[int] = described("Width of the image; 0 for a source list without an image, which has no mesh.", "pix")
    ny: Mapped[int] = described("Height of the image; 0 as for nx.", "pix")
    origin_x: Mapped[int] = described("First column of the first cell.", "pix")
    origin_y: Mapped[int] = described("First row of the first cell.", "pix")
    extent_x: Mapped[int] = described(
        "One past the last column of the last cell; the image may cut the cell short.", "pix"
    )
    extent_y: Mapped[int] = described(
        "One past the last row of the last cell; the image may cut the cell short.", "pix"
    )
    cell_x: Mapped[int] = described("Width of a cell.", "pix")
    cell_y: Mapped[int] = described("Height of a cell.", "pix")
    mesh_nx: Mapped[int] = described("Number of cells along x.")
    mesh_ny: Mapped[int] = described("Number of cells along y.")
    mesh_mean: Mapped[bytes] = described("Background of the cells, row by row, as little-endian float32.", "Jy/beam")
    mesh_rms: Mapped[bytes] = described("Noise of the cells, row by row, as little-endian float32.", "Jy/beam")
    tile_order: Mapped[int | None] = described(
        "HEALPix order of the largest tiles of the sky that the image covers; NULL without tiles."
    )
    tiles: Mapped[bytes | None] = described(
        "Numbers of these tiles, nested numbering, as little-endian int64. Finer tiles, at the rim of the searched "
        "area, have their unique number, 4 · 4^order + number, with a minus sign."
    )
    tile_rms: Mapped[bytes | None] = described(
        "Noise at the centres of the tiles, as little-endian float32.", "Jy/beam"
    )
    correlation: Mapped[bytes | None] = described(
        "Autocorrelation of the noise at lags from -m to m pixels along y and x, row by row, as little-endian float64: "
        "(2 m + 1)² values. NULL if it was not measured."
    )
    negative_tiles: Mapped[bytes | None] = described(
        "Unique number, 4 · 4^order + tile, of the HEALPix tile of each negative peak, as little-endian int64; NULL "
        "for images of earlier versions."
    )
    negative_depths: Mapped[bytes | None] = described(
        "Depths of these peaks below the detection threshold, as little-endian float64.", "sigma"
    )


class RejectReason(Base):
    """Reasons for rejecting images."""

    __tablename__ = "rejectreason"
    id: Mapped[int] = identifier()
    description: Mapped[str] = described("Reason in words.")


class Rejection(Base):
    """An image that is not searched, and the reason."""

    __tablename__ = "rejection"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Rejected image.")
    rejectreason: Mapped[int] = reference("rejectreason", "Reason.")
    comment: Mapped[str] = described("Values that led to the rejection.")
