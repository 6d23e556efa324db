"""Pages of new sources: their number is limited, and every candidate is accounted for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from structlog.testing import capture_logs

from flows.pages import candidates
from flows.pages.artifacts import Variable
from flows.pages.candidates import CandidatePages, page_text
from flows.service.identity import dataset_label
from trap.config import PipelineConfig
from trap.errors import TransientError, WorkerLostError
from trap.report.candidates import Candidate, Pictures, candidate_lines
from trap.report.plots import LightCurve
from trap.workers.executors import SerialExecutor

N_POINTS = {"now": 1}
LABEL = dataset_label(PipelineConfig(), 7)


def candidate(entry):
    n = N_POINTS["now"]
    curve = LightCurve(
        title="", time=np.zeros(n, "M8[us]"), band_mhz=np.full(n, 1.4e3), flux=np.ones(n), error=np.ones(n),
        extract_type=np.zeros(n, int),
    )  # fmt: skip
    numbers = dict.fromkeys(
        ("wm_ra", "wm_decl", "freq_central", "f_int", "f_int_err", "f_peak", "f_peak_err", "det_sigma", "sigma_local",
         "sigma_rms_min", "newness", "flags", "sigma_rms_max", "n_looks", "eta_int", "v_int",
         "grade", "noise_peaks"), 1.0,
    )  # fmt: skip
    facts = {
        "runcat": entry,
        "stokes": 4,
        "metric_stokes": 1,
        "taustart_ts": np.datetime64("2026-01-01", "us"),
        "url": "a.fits",
        **numbers,
    }
    return Candidate(facts=facts, curve=curve, earlier="")


@pytest.fixture
def stored(monkeypatch):
    """Keys and texts of the pages, in order of their creation."""
    pages = []
    N_POINTS["now"] = 1
    monkeypatch.setattr(
        candidates, "create_markdown_artifact", lambda text, key, **_: pages.append((key, text)) or f"id-of-{key}"
    )
    monkeypatch.setattr(candidates, "load_candidates", lambda _store, entries: list(map(candidate, entries)))
    monkeypatch.setattr(candidates, "draw_candidate", lambda *_: Pictures(light_curve=b"curve", cutouts=b"cut"))
    monkeypatch.setattr(candidates, "MAX_PAGES", 2)
    monkeypatch.setattr(candidates, "MAX_FILES", 3)
    return pages


def dataset(pictures):
    execution = {"pictures": str(pictures)}
    return SimpleNamespace(store=None, dataset_id=7, config=PipelineConfig().with_options(execution=execution))


def timestep(*entries):
    """Make an outcome and a catalogue whose new sources have these row numbers."""
    image = SimpleNamespace(new_sources=SimpleNamespace(entry=np.arange(len(entries))))
    return SimpleNamespace(images=[image]), SimpleNamespace(entries={"id": np.array(entries, int)})


def test_candidates_get_pages_then_files_and_the_others_are_counted(stored, tmp_path):
    pages = CandidatePages(dataset(tmp_path / "pictures"), SerialExecutor())
    pages.collect(*timestep(11, 12, 13))
    pages.store_new()
    pages.collect(*timestep(14, 15, 16, 17))
    pages.store_new()
    assert [key for key, _ in stored] == [f"dataset-{LABEL}-source-11", f"dataset-{LABEL}-source-12"]
    folder = tmp_path / "pictures" / "dataset-7"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"source-{entry}-{name}.png" for entry in (13, 14, 15) for name in ("light-curve", "cutouts")
    )
    assert pages.links[11] == f"/artifacts/artifact/id-of-dataset-{LABEL}-source-11"
    assert f"Pictures of 3 more are in `{folder}`" in pages.text
    assert "2 more have neither" in pages.text


def test_at_the_end_only_pages_with_grown_light_curves_are_stored_again(stored, tmp_path):
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    pages.collect(*timestep(11))
    pages.store_new()
    pages.store_again()
    assert len(stored) == 1
    N_POINTS["now"] = 5
    pages.store_again()
    assert [key for key, _ in stored] == [f"dataset-{LABEL}-source-11"] * 2


def test_a_run_without_new_sources_stores_no_pages(stored, tmp_path):
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    pages.store_new()
    pages.store_again()
    assert (stored, pages.text) == ([], "")


def test_a_page_that_cannot_be_drawn_does_not_end_the_run(stored, tmp_path, monkeypatch):
    def lose_worker(*_):
        raise WorkerLostError("the worker died")

    monkeypatch.setattr(candidates, "draw_candidate", lose_worker)
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    pages.collect(*timestep(11))
    pages.store_new()
    assert stored == []


def test_pages_are_drawn_during_the_group_and_files_at_its_end(stored, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        candidates,
        "draw_candidate",
        lambda each, _: drawn.append(each.facts["runcat"]) or Pictures(light_curve=b"curve", cutouts=b"cut"),
    )
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    pages.collect(*timestep(11, 12, 13))
    assert (drawn, stored) == ([11, 12], [])
    pages.store_new()
    assert drawn == [11, 12, 13]
    assert len(stored) == 2


def test_an_unreachable_database_costs_pages_and_not_the_timestep(stored, tmp_path, monkeypatch):
    def raise_error(*_):
        raise TransientError("the database is away")

    monkeypatch.setattr(candidates, "load_candidates", raise_error)
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    with capture_logs() as logs:
        pages.collect(*timestep(11))
    assert [(line["event"], line["sources"]) for line in logs] == [("candidates_not_drawn", [11])]


def test_a_folder_that_cannot_be_written_does_not_end_the_run(stored, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(candidates, "MAX_PAGES", 0)
    pages = CandidatePages(dataset(tmp_path / "file"), SerialExecutor())
    pages.collect(*timestep(11))
    pages.store_new()
    assert stored == []


def test_pictures_are_embedded_in_the_page_and_missing_ones_are_named():
    text = page_text(
        candidate(3), Pictures(light_curve=b"curve", cutouts=b"", missing=("a.fits: No such file",)), [("η", "3")]
    )
    assert "![light curve](data:image/png;base64,Y3VydmU=)" in text
    assert "cut-outs" not in text
    assert "a.fits: No such file" in text


def test_a_page_is_titled_by_position_flux_density_and_date_and_links_to_catalogues():
    text = page_text(candidate(3), Pictures(light_curve=b"curve", cutouts=b""), candidate_lines(candidate(3)))
    assert text.startswith("# J000400.0+010000, 1e+03 mJy, 2026-01-01\n")
    assert "SIMBAD](https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=1.00000d%20%2B1.00000d" in text
    for name in ("NED", "ESASky", "Aladin"):
        assert f"[{name}](https://" in text
    assert "| newness | 1 σ |" in text
    assert "| grade | likely |" in text
    assert "| noise peaks as high, expected so far | 1 |" in text
    assert "| Stokes parameter | V |" in text
    assert "| η, V of Stokes I |" in text
    assert "| flags | fit failed |" in text


def test_variables_get_pages_unless_they_have_one_as_new_sources(stored, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        candidates, "load_variables", lambda _, positions: loaded.extend(positions) or list(map(candidate, positions))
    )
    pages = CandidatePages(dataset(tmp_path), SerialExecutor())
    pages.collect(*timestep(11))
    pages.store_new()
    settings = {"ra": 1.0, "dec": 1.0, "band": 0, "stokes": 1, "n": 2, "mean": 1.0, "eta": 9.0, "v": 0.5}
    pages.store_variables([Variable(entry=entry, **settings) for entry in (11, 21, 21)])
    assert loaded == [21]
    assert list(pages.links) == [11, 21]
    pages.store_again()
    assert len(stored) == 2
