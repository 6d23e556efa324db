"""Calibrators of made-up images, with known displacements and gains."""

from __future__ import annotations

import numpy as np

from trap.calibration.calibrators import Matches
from trap.calibration.positions import Field

BEAM = 10 / 3600
RADIUS = 0.5


def made_up_matches(n, *, seed, displacement=None, gain=1.0, n_earlier=20, beam=BEAM, radius=RADIUS, scatter=0.0):
    """Return matches of ``n`` sources with S/N from 10 to some hundreds, as steep counts give them.

    ``displacement`` maps coordinates in units of the radius to displacements in deg.
    """
    rng = np.random.default_rng(seed)
    snr = 10 * rng.uniform(size=n) ** (-1 / 1.5)
    u, v = (rng.uniform(-1, 1, (2, n)) * radius) / np.sqrt(2)
    fit, reference = (0.6 * beam / snr) ** 2, (0.6 * beam / snr) ** 2 / n_earlier
    d_u, d_v = np.zeros((2, n)) if displacement is None else displacement(u / radius, v / radius)
    noise = rng.normal(size=(2, n)) * np.sqrt(fit + reference) + scatter * rng.normal(size=(2, n))
    flux = snr * 1e-3
    return Matches.of(
        row=np.arange(n),
        u=u,
        v=v,
        d_u=d_u + noise[0],
        d_v=d_v + noise[1],
        var_u=fit,
        var_v=fit,
        ref_var_u=reference,
        ref_var_v=reference,
        f_int=gain * flux + 1e-3 * rng.normal(size=n),
        f_int_err=np.full(n, 1e-3),
        ref_f_int=flux + 1e-3 * rng.normal(size=n) / np.sqrt(n_earlier),
        ref_f_int_err=np.full(n, 1e-3) / np.sqrt(n_earlier),
    )


def made_up_field(matches, *, frequency=1e9, is_varying=False, beam=BEAM):
    """Return an image with these calibrators."""
    return Field(
        matches=matches, ra=30.0, dec=-40.0, beam=beam, frequency=frequency, reference="made up", is_varying=is_varying
    )
