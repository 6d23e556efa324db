"""Steady sources in areas that lack data in some epochs: no candidates, no forced fits of nothing."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from sky_fixtures import Sky
from sqlalchemy import create_engine, text

from trap.catalogues import Flag
from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

SIZE, N_EPOCHS, RMS = 200, 4, 1e-3
Y, X = np.indices((SIZE, SIZE))
FILLINGS = {"nan": np.nan, "zero": 0.0, "constant": np.float32(-0.0327680)}
DEPTHS = np.array([1.0, 2.0, 3.0, 4.5, 6.0, 7.5, 9.0, 10.5, 12.0])
"""pix — distances of the sources from the rim of the area, inside it."""
RIM = 90


def half():
    """Mark columns on the left; sources stand along their rim."""
    return X < RIM, RIM - 0.5 - DEPTHS, np.linspace(15, SIZE - 16, DEPTHS.size)


def corner():
    """Mark a triangle; the distance is measured across its long side."""
    along = np.linspace(25, 145, DEPTHS.size)
    return X + Y < 170, 170 - along - np.sqrt(2) * DEPTHS - 0.5, along


def primary_beam():
    """Mark all pixels outside a circle of 80 pixels."""
    angle = np.linspace(0, 2 * np.pi, DEPTHS.size, endpoint=False)
    middle = (SIZE - 1) / 2
    return np.hypot(X - middle, Y - middle) > 80, *(middle + (80 + DEPTHS) * f(angle) for f in (np.cos, np.sin))


def hole():
    """Mark a disc of 26 pixels."""
    angle = np.arange(DEPTHS.size) * 2.4
    return np.hypot(X - 100, Y - 90) < 26, 100 + (26 - DEPTHS) * np.cos(angle), 90 + (26 - DEPTHS) * np.sin(angle)


def write_series(folder, area, filling, is_blank, seed, peak=65 * RMS):
    """Write epochs with steady sources; ``is_blank`` lists the epochs where the area has no data."""
    rng = np.random.default_rng(seed)
    # Tiles of the sky lie elsewhere in each field.
    sky = Sky(nx=SIZE, ny=SIZE, rms=RMS, ra=150 + 0.013 * seed, dec=-30 + 0.017 * seed)
    mask, x, y = area()
    x, y = x + rng.uniform(-0.4, 0.4, x.size), y + rng.uniform(-0.4, 0.4, y.size)
    others = rng.uniform(20, SIZE - 20, (6, 2))
    others = others[~mask[others[:, 1].astype(int), others[:, 0].astype(int)]]
    truth = sky.sources([*x, *others[:, 0]], [*y, *others[:, 1]], [peak] * (len(x) + len(others)))
    for epoch in range(N_EPOCHS):
        data = (truth + sky.noise(1000 * seed + epoch)).astype(np.float32)
        if epoch in is_blank:
            data[mask] = filling
        header = sky.header()
        header["DATE-OBS"] = f"2026-01-01T{epoch:02d}:00:00"
        fits.writeto(folder / f"epoch{epoch}.fits", data, header)
    return mask, x, y


def run(folder, **sections):
    """Run over a folder in this process; return the candidates and the points of all light curves."""
    database = f"sqlite:///{folder / 'trap.db'}"
    images = tuple(map(str, sorted(folder.glob("*.fits"))))
    config = PipelineConfig().with_options(execution={"images": images, "database": database}, **sections)
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        left_out = dataset.summary().left_out
    with create_engine(database).connect() as connection:
        candidates = connection.execute(text("SELECT runcat, newness FROM newsource")).all()
        points = connection.execute(
            text(
                "SELECT e.ra, e.decl, e.f_peak, e.f_peak_err, e.extract_type, e.flags, i.taustart_ts, a.runcat"
                " FROM extractedsource e JOIN image i ON e.image = i.id"
                " LEFT JOIN assocxtrsource a ON a.xtrsrc = e.id ORDER BY i.taustart_ts"
            )
        ).all()
    assert not left_out
    return candidates, points


def positions(points, seed):
    """Return the column and row of each point, rounded."""
    wcs = WCS(Sky(nx=SIZE, ny=SIZE, rms=RMS, ra=150 + 0.013 * seed, dec=-30 + 0.017 * seed).header(), naxis=2)
    x, y = wcs.all_world2pix([one.ra for one in points], [one.decl for one in points], 0)
    return np.rint(x).astype(int), np.rint(y).astype(int)


@pytest.mark.parametrize(("area", "filling"), [(half, "nan"), (primary_beam, "zero"), (corner, "constant")])
def test_steady_sources_in_an_area_that_is_filled_later_are_no_candidates(tmp_path, area, filling):
    write_series(tmp_path, area, FILLINGS[filling], range(2), seed=3)
    candidates, points = run(tmp_path)
    assert candidates == []
    assert len({one.runcat for one in points if one.runcat is not None}) >= DEPTHS.size


@pytest.mark.parametrize(("area", "filling"), [(half, "zero"), (primary_beam, "nan"), (hole, "constant")])
def test_fits_in_an_area_that_is_empty_later_have_a_flag_and_no_number(tmp_path, area, filling):
    mask, _, _ = write_series(tmp_path, area, FILLINGS[filling], range(2, N_EPOCHS), seed=4)
    candidates, points = run(tmp_path)
    assert candidates == []
    x, y = positions(points, seed=4)
    in_area = mask[np.clip(y, 0, SIZE - 1), np.clip(x, 0, SIZE - 1)]
    late = [one for one, is_in in zip(points, in_area, strict=True) if is_in and str(one.taustart_ts)[11:13] >= "02"]
    # Nine sources in two epochs; a source one pixel inside may be fitted outside.
    assert len(late) > 2 * (DEPTHS.size - 1)
    for one in late:
        assert one.f_peak is None
        assert one.flags & int(Flag.OUTSIDE)
        assert one.runcat is None
    # All points of light curves show the sources, which have 65 mJy.
    curves = [one.f_peak for one in points if one.runcat is not None]
    assert min(curves) > 0.05
    assert max(curves) < 0.08
