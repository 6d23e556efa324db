"""Table of the calibrations of images: positions and flux scale against a reference, and what was applied."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from trap.db.models.base import Base, described, identifier, reference

__all__ = ["Calibration"]


class Calibration(Base):
    """Calibration of an accepted image: its displacement and its gain, measured and applied."""

    __tablename__ = "calibration"
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Calibrated image.", unique=True)
    n_calibrators: Mapped[int] = described("Number of bright, compact and isolated sources of the image.", default=0)
    position_reference: Mapped[str] = described(
        "Name of the reference of positions; empty if none was used.", default="''"
    )
    n_position_matches: Mapped[int] = described("Number of calibrators matched for positions.", default=0)
    position_model: Mapped[str] = described(
        "Simplest model that explains the displacements: none, shift, affine or field.", default="'none'"
    )
    position_applied: Mapped[bool] = described("Whether positions were corrected by the model.", default=False)
    shift_ew: Mapped[float | None] = described(
        "Mean displacement of the image from the reference, to the east; NULL if it was not measured.", "arcsec"
    )
    shift_ns: Mapped[float | None] = described("Mean displacement to the north.", "arcsec")
    shift_ew_err: Mapped[float | None] = described("1σ error of shift_ew.", "arcsec")
    shift_ns_err: Mapped[float | None] = described("1σ error of shift_ns.", "arcsec")
    position_scatter_before: Mapped[float | None] = described(
        "Root mean square displacement of a calibrator along one axis, before the correction.", "arcsec"
    )
    position_scatter: Mapped[float | None] = described(
        "The same after the correction; each calibrator is predicted from the others.", "arcsec"
    )
    ew_sys_err: Mapped[float | None] = described(
        "Systematic position error along east-west that the model leaves; NULL if it was not measured.", "arcsec"
    )
    ns_sys_err: Mapped[float | None] = described(
        "Systematic position error along north-south that the model leaves.", "arcsec"
    )
    position_note: Mapped[str] = described(
        "Reason why positions were not measured or corrected; empty if they were corrected.", default="''"
    )
    displacement: Mapped[str | None] = described(
        "Parameters of the applied displacement, as a JSON object; NULL if no position was corrected."
    )
    flux_reference: Mapped[str] = described(
        "Name of the reference of flux densities; empty if none was used.", default="''"
    )
    n_flux_matches: Mapped[int] = described("Number of calibrators matched for flux densities.", default=0)
    flux_applied: Mapped[bool] = described("Whether flux densities were corrected.", default=False)
    gain: Mapped[float | None] = described(
        "Gain of the image, its flux scale over that of the reference; NULL if it was not measured."
    )
    gain_err: Mapped[float | None] = described("1σ error of the gain.")
    flux_offset: Mapped[float] = described("Offset of the flux densities; 0 if it was not fitted.", "Jy", default=0)
    flux_offset_err: Mapped[float] = described("1σ error of the offset.", "Jy", default=0)
    flux_scatter: Mapped[float | None] = described(
        "Relative scatter of the calibrators beyond their errors; NULL if it was not measured."
    )
    flux_note: Mapped[str] = described(
        "Reason why flux densities were not measured or corrected; empty if they were corrected.", default="''"
    )
    compactness: Mapped[float | None] = described(
        "Median ratio of integrated flux density to the highest pixel of the calibrators; NULL without calibrators."
    )
    compactness_err: Mapped[float | None] = described("1σ error of compactness.")
    patch_gain: Mapped[float | None] = described(
        "Largest relative brightening of a part of the field against the rest; NULL if it was not measured."
    )
    patch_snr: Mapped[float | None] = described("Significance of patch_gain, in σ.")
    patch_ra: Mapped[float | None] = described("Right ascension of the centre of that part.", "deg")
    patch_decl: Mapped[float | None] = described("Declination of the centre of that part.", "deg")
