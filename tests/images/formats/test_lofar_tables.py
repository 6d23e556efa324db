"""LOFAR's tables of attributes in CASA images and HDF5 files, with columns that are not used and cannot be read."""

import h5py
import numpy as np
import pytest
from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table
from image_forms import write_casa, write_fits, write_hdf5
from structlog.testing import capture_logs

from trap.config import ReadingConfig
from trap.errors import UnreadableImageError
from trap.images.formats import casa, format_of, hdf5
from trap.images.image import read_image

STATIONS = [f"CS{number:03d}" for number in range(21)] + ["RS106", "RS205", "RS306", "DE601"]
IDS = [*np.repeat(np.arange(21), 2).tolist(), 21, 22, 23, 24]
"""Two antennas for each core station; the German station was not used."""
ATTRIBUTES = {
    "LOFAR_OBSERVATION": {
        "OBSERVATION_START": [4.84e9],
        "ANTENNA_SET": ["HBA_DUAL"],
        "CLOCK_FREQUENCY": [2e8],
        "NVIS_USED": [np.array([[1, 1]] * 45 + [[0, 0]], np.int32)],
    },
    "LOFAR_ORIGIN": {"START": [5.0], "END": [15.0], "NUM_CHAN": [8]},
    "LOFAR_ANTENNA": {"NAME": ["HBA"] * 46, "STATION_ID": IDS},
    "LOFAR_STATION": {"NAME": STATIONS},
    "LOFAR_HISTORY": {"APP_PARAMS": [np.array(["a", "b"]), np.array(["c"])], "NAME": ["bbs", "awimager"]},
}
EXPECTED = (42, 3, 0, 8, 195312.5, 10.0)


def add_tables(path):
    """Add the attributes to a CASA image."""
    for name, columns in ATTRIBUTES.items():
        described = [
            makearrcoldesc(column, values[0].flat[0].item(), ndim=values[0].ndim)
            if isinstance(values[0], np.ndarray)
            else makescacoldesc(column, values[0])
            for column, values in columns.items()
        ]
        n_rows = len(next(iter(columns.values())))
        with table(str(path / name), maketabdesc(described), nrow=n_rows, ack=False) as made:
            for column, values in columns.items():
                for row, value in enumerate(values):
                    made.putcell(column, row, value)
    with table(str(path), readonly=False, ack=False) as opened:
        opened.putkeyword("ATTRGROUPS", {name: f"Table: {path / name}" for name in ATTRIBUTES})
    return path


def add_groups(path):
    """Add the attributes to an HDF5 image: a group for each row of each table."""
    with h5py.File(path, "a") as file:
        for name, columns in ATTRIBUTES.items():
            rows = max(len(values) for values in columns.values())
            for row in range(rows):
                group = file.create_group(f"ATTRGROUPS/{name}/{row:03d}")
                for column, values in columns.items():
                    value = np.asarray(values[row])
                    group.attrs[column] = value.astype("S") if value.dtype.kind == "U" else value
    return path


def summary(path):
    metadata = read_image(path).metadata
    lofar = metadata.lofar
    return lofar.ncore, lofar.nremote, lofar.nintl, lofar.subbands, lofar.subbandwidth, metadata.tau_time


@pytest.fixture
def lofar(tmp_path):
    """A CASA image of LOFAR."""
    path = add_tables(write_casa(tmp_path / "lofar.image"))
    with table(str(path), readonly=False, ack=False) as opened:
        coords = opened.getkeyword("coords")
        opened.putkeyword("coords", coords | {"telescope": "LOFAR"})
    return path


def test_only_used_columns_of_lofars_tables_are_read(lofar):
    with table(str(lofar / "LOFAR_HISTORY"), ack=False) as history, pytest.raises(RuntimeError):
        history.getcol("APP_PARAMS")
    assert summary(lofar) == EXPECTED


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_image_whose_attributes_cannot_be_read_is_like_one_of_another_telescope(lofar, damage):
    folder = lofar / "LOFAR_STATION"
    (folder / "table.dat").unlink() if damage == "gone" else (folder / "table.dat").write_bytes(b"")
    with capture_logs() as logs:
        metadata = read_image(lofar).metadata
    assert metadata.tau_time == 10.0
    assert [log["table"] for log in logs if log["event"] == "lofar_table_unreadable"] == ["LOFAR_STATION"]
    assert all(log.get("reason") != "" for log in logs)


def test_error_of_casacore_without_a_message_has_a_reason(lofar, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(casa, "_shape", fail)
    with pytest.raises(UnreadableImageError, match=r"the content cannot be understood \(RuntimeError\)"):
        casa.read_header(lofar, ReadingConfig())


def test_hdf5_image_names_the_same_stations(tmp_path):
    path = write_hdf5(tmp_path / "lofar.h5")
    with h5py.File(path, "a") as file:
        file["coordinfo/coords"].attrs["telescope"] = np.bytes_("LOFAR")
    assert summary(add_groups(path)) == EXPECTED


@pytest.mark.parametrize("size", [512, 1024, 4096, 32768, 131072])
def test_hdf5_file_may_begin_with_a_block_of_its_user(tmp_path, size):
    plain, path = write_hdf5(tmp_path / "plain.h5"), tmp_path / "user.h5"
    with h5py.File(plain) as source, h5py.File(path, "w", userblock_size=size) as target:
        for name in source:
            source.copy(name, target)
    with path.open("r+b") as file:
        file.write(b"LOFAR image, see the manual")
    assert format_of(path) is hdf5
    assert np.array_equal(read_image(path).data, read_image(plain).data, equal_nan=True)
    assert read_image(path).metadata.freq_eff == read_image(plain).metadata.freq_eff


def test_fits_file_with_the_signature_of_hdf5_in_it_is_fits(tmp_path):
    path = write_fits(tmp_path / "image.fits")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x89HDF\r\n\x1a\n")
    assert format_of(path).__name__.endswith("fits")
