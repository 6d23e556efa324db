"""Lists of PySE, the source finder of TraP: CSV of the package ``radio-pyse``, with its former and its present names.

Conventions, from PySE's ``extract`` and its description of the parameters: axes are semi-axes at half maximum in
arcsec, position angles are from north through east, fluxes are in Jy, x and y are counted from 0. ``ra_err`` is the
largest change of the right ascension itself in degrees, without the cosine of the declination; at RA 0 it may go around
the circle. The list has no local noise: it is the peak over the significance.

All numbers are printed with six decimals, so that a flux density is known to 1 µJy, and a position to 4 mas.
"""

from __future__ import annotations

from trap.source_lists.formats import ListColumn, ListFormat

__all__ = ["PYSE"]


PYSE = ListFormat(
    name="pyse",
    description="sources of PySE: CSV",
    columns={
        "ra": ListColumn("ra", "deg"),
        "dec": ListColumn("dec", "deg"),
        "ra_err": ListColumn("ra_err", "deg"),
        "ns_fit_err": ListColumn("dec_err", "deg"),
        "f_peak": ListColumn("peak", "Jy/beam", "pk_flux"),
        "f_peak_err": ListColumn("peak_err", "Jy/beam", "pk_flux_err"),
        "f_int": ListColumn("flux", "Jy", "int_flux"),
        "f_int_err": ListColumn("flux_err", "Jy", "int_flux_err"),
        "significance": ListColumn("sig", "", "snr"),
        "semimajor": ListColumn("smaj_asec", "arcsec", "smaj"),
        "semiminor": ListColumn("smin_asec", "arcsec", "smin"),
        "pa": ListColumn("theta_celes", "deg", "pa"),
        "x": ListColumn("x", "pix"),
        "y": ListColumn("y", "pix"),
    },
    marks=(
        ("ra", "dec", "ra_err", "smaj_asec", "theta_celes", "flux", "peak", "sig"),
        ("ra", "dec", "ra_err", "smaj", "smin", "int_flux", "pk_flux", "snr"),
    ),
    carried=("chisq", "reduced_chisq"),
)
