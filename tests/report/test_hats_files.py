from __future__ import annotations

import sys
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest

from trap.angles import separation
from trap.errors import ConfigError
from trap.report.hats_files import HatsRows, write_hats
from trap.report.table_stream import TableStream
from trap.tables import Column

N = 300
RNG = np.random.default_rng(5)
SOURCES = {
    "runcat": RNG.permutation(np.arange(1, N + 1)),
    "wm_ra": RNG.uniform(0, 360, N),
    "wm_decl": np.degrees(np.arcsin(RNG.uniform(-1, 1, N))),
    "datapoints": RNG.integers(1, 9, N),
    "name": np.array(["é, '=cmd'"] * N, object),
}
COUNT = np.where(np.arange(N) % 10 == 3, 0, 4)
"""Points of each source, in order of their numbers; some have none that are selected."""
POINTS = {
    "runcat": np.repeat(np.arange(1, N + 1), COUNT),
    "f_int": np.where(np.arange(COUNT.sum()) % 7 == 0, np.nan, RNG.normal(size=COUNT.sum())),
    "taustart_ts": np.arange(COUNT.sum()).astype("M8[us]"),
    "band": np.ma.MaskedArray(np.arange(COUNT.sum()), np.arange(COUNT.sum()) % 5 == 0),
}


def stream(values, n_chunks):
    chunks = [
        {name: values[name][part] for name in values}
        for part in np.array_split(np.arange(len(values["runcat"])), n_chunks)
    ]
    columns = {name: Column(part.dtype, "deg" if name == "wm_ra" else "", name) for name, part in values.items()}
    return TableStream(name="x", columns=columns, chunks=chunks, n_rows=len(values["runcat"]))


def catalogue(sources=SOURCES, points=POINTS, n_chunks=3):
    return HatsRows(
        places=lambda: stream(sources, 2).chunks,
        ra="wm_ra",
        dec="wm_decl",
        rows=stream(sources, n_chunks),
        weight="datapoints",
        points=None if points is None else stream(points, n_chunks),
        key="runcat",
    )


def opened(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lsdb  # noqa: PLC0415 (it warns)

        return lsdb.open_catalog(folder), lsdb.open_catalog(folder).compute()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "catalogue").mkdir()
    return tmp_path / "catalogue"


def test_lsdb_reads_sources_with_their_light_curves(folder):
    write_hats(folder, catalogue(), "mine", max_points=100)
    lazy, frame = opened(folder)
    with_points = np.flatnonzero(COUNT[SOURCES["runcat"] - 1])
    assert sorted(frame["runcat"].tolist()) == sorted(SOURCES["runcat"][with_points].tolist())
    assert (frame.index == np.sort(frame.index)).all() or len(lazy.partitions) > 1
    for runcat, ra, curve in zip(frame["runcat"], frame["wm_ra"], frame["lightcurve"], strict=True):
        mine = POINTS["runcat"] == runcat
        np.testing.assert_array_equal(curve["f_int"].to_numpy(float, na_value=np.nan), POINTS["f_int"][mine])
        assert curve["taustart_ts"].to_numpy().astype("M8[us]").tolist() == POINTS["taustart_ts"][mine].tolist()
        assert ra == SOURCES["wm_ra"][SOURCES["runcat"] == runcat][0]
    assert set(frame["name"]) == {"é, '=cmd'"}
    assert lazy.hc_structure.catalog_info.total_rows == len(with_points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near = lazy.cone_search(ra=10.0, dec=0.0, radius_arcsec=60 * 3600)[["runcat", "lightcurve.f_int"]].compute()
    inside = separation(SOURCES["wm_ra"], SOURCES["wm_decl"], 10.0, 0.0) <= 60
    assert sorted(near["runcat"].tolist()) == sorted(set(SOURCES["runcat"][inside]) & set(frame["runcat"]))
    assert list(near["lightcurve"].iloc[0].columns) == ["f_int"]


def test_partitions_have_few_points_and_their_own_part_of_the_sky(folder):
    from astropy_healpix import HEALPix  # noqa: PLC0415 (in this test only)

    write_hats(folder, catalogue(), "mine", max_points=100)
    files = sorted((folder / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    assert len(files) > 12
    for file in files:
        order, pixel = (int(part.split("=")[1]) for part in (file.parts[-3], file.stem))
        table = pq.ParquetFile(file).read()
        index = table["_healpix_29"].to_numpy()
        assert (np.diff(index) >= 0).all()
        assert set((index >> 2 * (29 - order)).tolist()) == {pixel}
        assert sum(len(curve["f_int"]) for curve in table["lightcurve"].to_pylist()) <= 100
        grid = HEALPix(nside=2**order, order="nested")
        assert grid.healpix_to_lonlat(pixel) is not None
    assert pq.read_metadata(folder / "dataset" / "_metadata").num_rows == (COUNT > 0).sum()
    assert pq.read_schema(folder / "dataset" / "_common_metadata").field("wm_ra").metadata[b"unit"] == b"deg"


def test_catalogue_without_points_has_all_rows(folder):
    write_hats(folder, catalogue(points=None), "mine")
    _, frame = opened(folder)
    assert sorted(frame["runcat"].tolist()) == list(range(1, N + 1))
    assert "lightcurve" not in frame.columns


def test_crowded_place_is_not_divided_for_ever(folder):
    crowded = {**SOURCES, "wm_ra": np.full(N, 10.0), "wm_decl": np.full(N, 89.99)}
    write_hats(folder, catalogue(crowded), "mine", max_points=10)
    _, frame = opened(folder)
    assert len(frame) == (COUNT > 0).sum()


def test_catalogue_without_rows_can_be_opened(folder):
    empty, no_points = ({name: part[:0] for name, part in table.items()} for table in (SOURCES, POINTS))
    write_hats(folder, catalogue(empty, no_points), "mine")
    _, frame = opened(folder)
    assert len(frame) == 0
    assert set(frame.columns) == {*SOURCES, "lightcurve"}


def test_missing_library_is_named_with_its_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "hats", None)
    with pytest.raises(ConfigError, match=r"needs hats, .* pip install 'trap-transients\[hats\]'"):
        write_hats(folder, catalogue(), "mine")
