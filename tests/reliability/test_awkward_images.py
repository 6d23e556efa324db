"""Images of real archives that must be refused, each for its own reason, by ``transients inspect`` and by a run."""

from __future__ import annotations

import json

from real_images import DATA, needs_real_images

from trap.cli import main
from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

REASONS = {
    "lofar_dirty_psf.fits": "point-spread function: peak 1 at pixel (256, 256)",
    "missing_metadata.fits": "unreadable: no frequency in the header",
    "wsrt_3C236_bad_date.fits": "unreadable: DATE-OBS = '01-JUL-8': not a date",
}
FILES = [str(DATA / "awkward" / name) for name in REASONS]


@needs_real_images
def test_inspection_refuses_each_for_its_own_reason(capsys):
    assert main(["inspect", "--json", *FILES]) == 3
    looks = json.loads(capsys.readouterr().out)
    for look, reason in zip(looks, REASONS.values(), strict=True):
        assert not look["usable"]
        assert look["problem"].removeprefix("rejected: ").startswith(reason)


@needs_real_images
def test_run_refuses_each_for_its_own_reason(tmp_path):
    execution = {"images": tuple(FILES), "database": f"sqlite:///{tmp_path / 'trap.db'}"}
    with open_run(PipelineConfig().with_options(execution=execution)) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        left_out = dict(dataset.summary().left_out)
    assert set(left_out) == set(FILES)
    for file, reason in zip(FILES, REASONS.values(), strict=True):
        assert left_out[file].startswith(reason)


@needs_real_images
def test_good_images_of_real_telescopes_are_refused_by_no_check(capsys):
    good = [*sorted(DATA.glob("ami*/*.fits")), *sorted(DATA.glob("lofar*/*.fits")), *sorted(DATA.glob("vast*/*.fits"))]
    assert main(["inspect", "--json", *map(str, good)]) == 0
    looks = json.loads(capsys.readouterr().out)
    assert len(looks) == len(good) == 9
    doubts = {
        (look["image"].rsplit("/", 1)[1], check["check"])
        for look in looks
        for check in look["checks"]
        if not check["passed"]
    }
    # Two epochs of the simulated field have the same pixels, and so has the same observation under two headers.
    assert doubts == {
        ("AMILA_GRB130427A_20130429_vopt.fits", "repeated"),
        ("epoch03.fits", "repeated"),
    }
