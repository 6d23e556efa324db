"""The ledger: each version of an image is taken once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trap.db.arrivals import batch_name, open_ledger
from trap.errors import DatabaseError
from trap.images.incoming import Arrival

A, B, C = (Arrival(Path(f"/in/{name}.fits"), 10, 1_000) for name in "abc")


@pytest.fixture
def ledger(database_url):
    with open_ledger(database_url) as ledger:
        yield ledger


def test_at_first_nothing_is_taken(ledger):
    assert ledger.claimed("field") == {}
    assert ledger.latest_batch("field") is None


def test_taken_images_are_recorded_with_their_batch(ledger):
    batch = ledger.claim("field", [B, A])
    assert ledger.claimed("field") == {"field": {A, B}}
    assert ledger.latest_batch("field") == batch
    assert ledger.images(batch) == [B.path, A.path]


def test_an_image_whose_name_is_not_utf_8_is_recorded_under_its_own_name(ledger, tmp_path):
    odd = Arrival(tmp_path / os.fsdecode(b"b\xff.fits"), 10, 1_000)
    batch = ledger.claim("field", [odd])
    assert ledger.claimed("field") == {"field": {odd}}
    assert ledger.images(batch) == [odd.path]


def test_an_image_is_taken_once(ledger):
    ledger.claim("field", [A, B])
    with pytest.raises(DatabaseError, match=r"(?i)unique"):
        ledger.claim("field", [B, C])
    assert ledger.claimed("field") == {"field": {A, B}}


def test_a_rewritten_image_is_taken_again(ledger):
    first = ledger.claim("field", [A])
    anew = Arrival(A.path, A.size, A.mtime_ns + 1)
    assert ledger.claim("field", [anew]) == ledger.latest_batch("field") != first


def test_a_batch_is_named_after_its_images_in_any_order_and_its_dataset(ledger):
    assert ledger.claim("field", [B, A]) == batch_name("field", [A, B])
    assert batch_name("field", [A, B]) != batch_name("other", [A, B])


def test_datasets_of_subfolders_are_found_with_their_parent_and_no_others(ledger):
    for key in ("field", "field/night1", "field2", "fie_d/x"):
        ledger.claim(key, [A])
    assert set(ledger.claimed("field")) == {"field", "field/night1"}
    assert set(ledger.claimed("fie_d")) == {"fie_d/x"}


def test_an_unknown_batch_has_no_images(ledger):
    assert ledger.images("nothing") == []
