"""Damaged lists of all kinds raise the errors of lists and no others, without a warning."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.source_lists.finder_lists import (
    PLAIN_COLUMNS,
    aegean_csv,
    aegean_votable,
    casda_csv,
    json_rows,
    make_metadata,
    make_sky,
    plain_table,
    pybdsf_fits,
    pybdsf_text,
    pyse_csv,
    selavy_text,
    selavy_votable,
    table_bytes,
)
from trap.config import SourceListConfig
from trap.errors import ImageError
from trap.escapes import plain_text
from trap.source_lists.read import read_source_list

SKY = make_sky(3)
LISTS = {
    "selavy": selavy_text(SKY),
    "selavy votable": selavy_votable(SKY),
    "casda": casda_csv(SKY),
    "pybdsf": pybdsf_text(SKY),
    "pybdsf fits": pybdsf_fits(SKY),
    "aegean": aegean_csv(SKY),
    "aegean votable": aegean_votable(SKY),
    "pyse": pyse_csv(SKY),
    "ecsv": table_bytes(plain_table(SKY), "ascii.ecsv"),
    "json": json_rows([{"ra": 0.05, "dec": 61.0, "f_int": 1.0, "f_int_err": 0.1}]),
}
PIECES = st.sampled_from(
    [b"", b"\0", b"\n", b"nan", b"-1", b"0", b",", b'"', b"#", b"\xff", b"1e400", b"<", b">", b"\x1b", b"[", b"{"]
)
PLACES = st.tuples(st.floats(0, 1), st.integers(0, 9), PIECES)


def damaged(content, changes):
    """Replace some bytes at some places by pieces."""
    for share, length, piece in changes:
        place = int(share * len(content))
        content = content[:place] + piece + content[place + length :]
    return content


def check_read(path, content, config):
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = read_source_list(str(path), config, make_metadata())
        except ImageError as error:
            found = error
    if isinstance(found, ImageError):
        assert str(found) == plain_text(found)
        return
    measured = found.measurements
    assert np.isfinite([measured.ra, measured.dec]).all()
    assert (measured.is_measured | (measured.flags & 1 > 0)).all()


@pytest.mark.parametrize("name", LISTS)
def test_damaged_list_is_read_or_refused(tmp_path, name):
    config = SourceListConfig(errors="condon", columns=PLAIN_COLUMNS if name == "ecsv" else {})

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(PLACES, min_size=1, max_size=4))
    def check(changes):
        check_read(tmp_path / "list", damaged(LISTS[name], changes), config)

    check()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode(errors="ignore"))))
def test_any_content_is_refused(tmp_path, content):
    check_read(tmp_path / "list", content, SourceListConfig())
