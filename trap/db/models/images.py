"""Tables of the images: where, when and at which frequency they look, and how good they are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from trap.db.models.base import Base, described, identifier, reference

__all__ = ["FrequencyBand", "Image", "ImageData", "RejectReason", "Rejection", "RmsMap", "SkyRegion"]


class FrequencyBand(Base):
    """Images whose frequency intervals overlap: their flux densities make one light curve."""

    __tablename__ = "frequencyband"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Whose band.")
    freq_central: Mapped[float] = described("Central frequency of the image that made the band.", "Hz")
    freq_low: Mapped[float] = described("Lower end.", "Hz")
    freq_high: Mapped[float] = described("Upper end.", "Hz")


class SkyRegion(Base):
    """A circle on the sky that images are searched in."""

    __tablename__ = "skyregion"
    __table_args__ = (UniqueConstraint("dataset", "centre_ra", "centre_decl", "xtr_radius"),)
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Whose region.", index=False)
    centre_ra: Mapped[float] = described("Right ascension of the centre, 0 to 360.", "deg")
    centre_decl: Mapped[float] = described("Declination of the centre.", "deg")
    xtr_radius: Mapped[float] = described("Radius.", "deg")
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
    dataset: Mapped[int] = reference("dataset", "Whose image.", index=False)
    timestep: Mapped[int | None] = reference("timestep", "With which images it was stored.")
    band: Mapped[int] = reference("frequencyband", "Its band.")
    skyrgn: Mapped[int] = reference("skyregion", "Where it was searched.")
    tau: Mapped[int | None] = described("Not used; kept from TraP.")
    stokes: Mapped[int] = described("Stokes parameter as FITS numbers it: 1 is I.", default=1)
    tau_time: Mapped[float | None] = described("Duration.", "s")
    freq_eff: Mapped[float] = described("Frequency.", "Hz")
    freq_bw: Mapped[float | None] = described("Bandwidth.", "Hz")
    taustart_ts: Mapped[datetime] = described("Start of the observation.")
    rb_smaj: Mapped[float | None] = described("Semi-major axis of the restoring beam at half maximum.", "deg")
    rb_smin: Mapped[float | None] = described("Semi-minor axis of the restoring beam at half maximum.", "deg")
    rb_pa: Mapped[float | None] = described("Position angle of the beam, north through east.", "deg")
    deltax: Mapped[float | None] = described("Width of a pixel, negative where right ascension falls with x.", "deg")
    deltay: Mapped[float | None] = described("Height of a pixel.", "deg")
    fwhm_arcsec: Mapped[float | None] = described("Full width of the beam's major axis.", "arcsec")
    fov_degrees: Mapped[float | None] = described("Diameter of the searched region.", "deg")
    rms_qc: Mapped[float | None] = described("Noise of the central part; NULL or NaN if it has none.", "Jy/beam")
    rms_min: Mapped[float | None] = described("Lowest local noise; NULL where the image was not searched.", "Jy/beam")
    rms_max: Mapped[float | None] = described("Highest local noise; NULL where the image was not searched.", "Jy/beam")
    detection_thresh: Mapped[float | None] = described("Significance at which sources were found.", "sigma")
    analysis_thresh: Mapped[float | None] = described("Significance down to which they extend.", "sigma")
    url: Mapped[str] = described("Path.")
    content_hash: Mapped[str] = described("BLAKE2b of the file, hexadecimal: the same file is not taken twice.")
    telescope: Mapped[str | None] = described("Telescope; NULL where the file does not say.")
    late: Mapped[bool] = described("Whether a later one was stored before; it is not associated.", default=False)
    pixel_hash: Mapped[str | None] = described("BLAKE2b of the pixels alone, hexadecimal; NULL where not wanted.")


class ImageData(Base):
    """Header of an image and the file that keeps its pixels; empty unless they are asked for."""

    __tablename__ = "imagedata"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Whose data.")
    fits_header: Mapped[str | None] = described("Header as text.")
    fits_data: Mapped[bytes | None] = described("Not used; kept from TraP, which put pickled pixels there.")
    path: Mapped[str | None] = described("FITS file with the pixels, or cut-outs of them, that were kept.")
    kind: Mapped[str | None] = described("'images' where the file holds all pixels, 'cutouts' where parts of them.")


class RmsMap(Base):
    """Background and noise of an image on a coarse mesh, from which both follow at any position."""

    __tablename__ = "rmsmap"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Whose mesh.", unique=True)
    nx: Mapped[int] = described("Width of the image.", "pix")
    ny: Mapped[int] = described("Height of the image.", "pix")
    origin_x: Mapped[int] = described("First column of the first cell.", "pix")
    origin_y: Mapped[int] = described("First row of the first cell.", "pix")
    extent_x: Mapped[int] = described("One past the last column of the last cell, which may be cut short.", "pix")
    extent_y: Mapped[int] = described("One past the last row of the last cell.", "pix")
    cell_x: Mapped[int] = described("Width of a cell.", "pix")
    cell_y: Mapped[int] = described("Height of a cell.", "pix")
    mesh_nx: Mapped[int] = described("Cells along x.")
    mesh_ny: Mapped[int] = described("Cells along y.")
    mesh_mean: Mapped[bytes] = described("Background of the cells, row by row, as little-endian float32.", "Jy/beam")
    mesh_rms: Mapped[bytes] = described("Noise of the cells, row by row, as little-endian float32.", "Jy/beam")
    tile_order: Mapped[int | None] = described("HEALPix order of the tiles of the sky that the image covers.")
    tiles: Mapped[bytes | None] = described("These tiles, nested numbering, ascending, as little-endian int64.")
    tile_rms: Mapped[bytes | None] = described("Noise at their centres, as little-endian float32.", "Jy/beam")


class RejectReason(Base):
    """Why images may be rejected."""

    __tablename__ = "rejectreason"
    id: Mapped[int] = identifier()
    description: Mapped[str] = described("In words.")


class Rejection(Base):
    """An image that is not searched, and why."""

    __tablename__ = "rejection"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Which image.")
    rejectreason: Mapped[int] = reference("rejectreason", "Why.")
    comment: Mapped[str] = described("The numbers that led to it.")
