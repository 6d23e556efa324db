"""Images that telescopes and others' simulators made, through the whole pipeline.

The data are not part of the project: where they are missing, these tests are skipped and say so.
"""

from __future__ import annotations

import numpy as np
import pytest
from real_images import DATA, needs_real_images
from sqlalchemy import create_engine, text

from trap import angles
from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.pipeline import run_locally as run

pytestmark = needs_real_images

LIGHT_CURVES = text(
    "SELECT r.id, r.wm_ra, r.wm_decl, e.f_peak, e.f_int, e.f_int_err, e.extract_type, i.freq_eff, b.freq_central"
    " FROM runningcatalog r JOIN assocxtrsource a ON a.runcat = r.id JOIN extractedsource e ON a.xtrsrc = e.id"
    " JOIN image i ON e.image = i.id JOIN frequencyband b ON i.band = b.id ORDER BY r.id, i.taustart_ts"
)


@pytest.fixture
def process(tmp_path):
    """Run the pipeline on images; returns the summary and the light-curve points by entry."""

    def do(images, **sections):
        url = f"sqlite:///{tmp_path / 'trap.db'}"
        execution = {"images": tuple(map(str, images)), "database": url, "n_workers": 2}
        summary = run(PipelineConfig().with_options(execution=execution, **sections))
        with create_engine(url).connect() as connection:
            points = connection.execute(LIGHT_CURVES).mappings().all()
        curves = {}
        for point in points:
            curves.setdefault(point["id"], []).append(point)
        return summary, list(curves.values())

    return do


def near(curves, ra, dec, arcsec):
    """Light curves whose entry lies within some arcsec of a position."""
    return [c for c in curves if angles.separation(c[0]["wm_ra"], c[0]["wm_decl"], ra, dec) * 3600 < arcsec]


def test_fading_afterglow_is_one_source_in_two_images(process):
    folder = DATA / "ami_grb130427a"
    images = [folder / f"AMILA_GRB130427A_{day}.fits" for day in ("20130429", "20130504")]
    summary, curves = process(
        images,
        # The intervals 15.76 ± 2.62 and 16.88 ± 1.12 GHz overlap; the tolerance also joins narrower headers.
        persistence={"band_tolerance": 2e9},
        # The second epoch's beam is 61 by 24 arcsec.
        quality={"elliptical_x": 3.0},
        source_extraction={"detection_threshold": 6.0, "force_beam": False, "point_like_sigma": 0.0},
    )
    assert summary.exit_code is ExitCode.COMPLETE
    assert [image.n_blind for image in summary.images] == [1, 1]
    (curve,) = curves
    assert near(curves, 173.1367, 27.6989, 5.0) == [curve]
    assert [point["extract_type"] for point in curve] == [0, 0]
    # The numbers are from free fits.
    assert [point["f_peak"] for point in curve] == pytest.approx([0.914e-3, 0.508e-3], rel=0.03)
    assert len({point["freq_central"] for point in curve}) == 1


STEADY = {
    (149.9834, -29.9778): 2.0,
    (149.9834, -30.0161): 2.0,
    (150.0206, -30.0161): 2.0,
    (150.0001, -30.0000): 1.0,
}


def test_simulated_askap_field_keeps_its_steady_sources_whole(process):
    images = sorted((DATA / "vast_simulated").glob("epoch*.fits"))
    summary, curves = process(
        images, source_extraction={"ew_sys_err": 1.0, "ns_sys_err": 1.0, "extraction_radius_pix": 0.0}
    )
    assert not summary.failures
    assert [image.result.metadata.freq_eff for image in summary.images] == pytest.approx([888e6] * 4, rel=1e-3)
    for (ra, dec), flux in STEADY.items():
        (curve,) = near(curves, ra, dec, 3.0)
        assert len(curve) == 4
        assert np.array([point["f_int"] for point in curve]) == pytest.approx(flux, rel=0.1)
