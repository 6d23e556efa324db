"""Positions that were measured on demand, in both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from busy_dataset import FIELD, MESH, REJECTION
from results_survey import url_of
from sqlalchemy import func, select

from trap.db.deletion import delete_dataset
from trap.db.meanings import describe_position_points, describe_positions
from trap.db.models import PositionFit, PositionPoint
from trap.db.position_fits import (
    count_fitted_images,
    find_position,
    images_at,
    join_points,
    keep_points,
    kept_positions,
    missing_images,
    points_of,
    read_position,
)
from trap.db.reader import Reader
from trap.db.upkeep import check_database
from trap.errors import DatasetNotFoundError

PLACE = FIELD.centre


@pytest.fixture
def reader(engine):
    return Reader(url_of(engine))


@pytest.fixture
def observed(make_dataset):
    """A dataset of four images with meshes, and one that was rejected."""
    dataset = make_dataset()
    for day in range(4):
        dataset.process(replace(FIELD.image(day), background=MESH))
    dataset.process(replace(FIELD.image(4), background=MESH).rejected(REJECTION))
    return dataset


@pytest.fixture
def points(observed, ask):
    """Points of the images of the observed dataset: the first was not readable, the second has no value."""
    numbers = ask(images_at, observed.id, *PLACE)["image"].tolist()
    made = [{"image": number, "f_int": 1e-3 * number, "f_int_err": 1e-4, "gain": 0.5} for number in numbers]
    made[0] = {"image": numbers[0], "reason": "No such file or directory", "is_read": False}
    made[1] = {"image": numbers[1], "reason": "outside the searched area", "flags": 16}
    return made


def test_points_are_read_as_they_were_kept(observed, ask, reader, points):
    assert ask(find_position, observed.id, *PLACE) is None
    before = datetime.now(UTC)
    keep_points(reader, observed.id, PLACE, points_of(points[:2]), is_complete=False)
    assert ask(find_position, observed.id, *PLACE).state == "partial"
    keep_points(reader, observed.id, PLACE, points_of(points[2:]), is_complete=True)
    kept = ask(find_position, observed.id, *PLACE)
    assert (kept.ra, kept.dec, kept.state) == (*PLACE, "done")
    assert before <= kept.made < kept.changed <= datetime.now(UTC)
    stored, given = ask(read_position, kept), points_of(points)
    assert stored.keys() == given.keys()
    for name, values in given.items():
        np.testing.assert_array_equal(stored[name], values, err_msg=name)


def test_point_replaces_the_earlier_one_of_its_image_and_no_points_change_no_time(observed, ask, reader, points):
    keep_points(reader, observed.id, PLACE, points_of(points), is_complete=True)
    images, stored = ask(images_at, observed.id, *PLACE), ask(read_position, ask(find_position, observed.id, *PLACE))
    missing = missing_images(images, stored)
    assert missing.tolist() == [points[0]["image"]]  # what the image says of its pixels is settled
    again = {"image": points[0]["image"], "f_int": 7.0}
    # A link has seven decimals, and right ascensions of the same place differ at the pole only.
    keep_points(reader, observed.id, (PLACE[0] + 4e-8, PLACE[1]), points_of([again]), is_complete=True)
    state = ask(find_position, observed.id, *PLACE)
    keep_points(reader, observed.id, PLACE, points_of([]), is_complete=True)
    assert ask(find_position, observed.id, *PLACE) == state
    listed = ask(kept_positions, observed.id)
    assert (listed["n_points"].tolist(), listed["n_measured"].tolist()) == ([len(points)], [len(points) - 1])
    assert listed["n_unread"].tolist() == [0]
    assert ask(find_position, observed.id, PLACE[0] + 2e-7, PLACE[1]) is None
    assert ask(find_position, observed.id + 1, *PLACE) is None


def test_images_beyond_the_position_are_counted_only(observed, ask):
    assert len(ask(images_at, observed.id, *PLACE)["image"]) == ask(count_fitted_images, observed.id) == 4
    assert len(ask(images_at, observed.id, 302.0, -10.0)["image"]) == 0
    with pytest.raises(DatasetNotFoundError):
        ask(images_at, observed.id + 1, *PLACE)


def test_points_are_joined_with_their_images_in_order_of_time(observed, ask, points):
    images = ask(images_at, observed.id, *PLACE)
    joined = join_points(images, points_of([{"image": 10**6, "f_int": 1.0}, *points[::-1]]))
    assert joined["image"].tolist() == images["image"].tolist()
    assert (np.diff(joined["taustart_ts"].astype(int)) >= 0).all()
    assert joined["f_int"][2:].tolist() == [point["f_int"] for point in points[2:]]
    assert joined["reason"][:2].tolist() == [point["reason"] for point in points[:2]]
    described = describe_position_points(joined)
    assert described["f_int"][0].unit == "Jy"
    assert described["stokes"][1].tolist() == ["I"] * len(points)
    assert all(column.doc for column, _ in described.values())
    assert len(join_points(images, points_of([]))["f_int"]) == 0


def test_deletion_of_a_dataset_deletes_its_positions_and_checks_pass(observed, ask, reader, engine, points):
    keep_points(reader, observed.id, PLACE, points_of(points), is_complete=True)
    assert all(column.doc for column, _ in describe_positions(ask(kept_positions, observed.id)).values())
    assert check_database(engine) == []
    delete_dataset(engine, observed.id)
    for model in (PositionFit, PositionPoint):
        assert ask(lambda connection, model=model: connection.execute(select(func.count(model.id))).scalar_one()) == 0
    with pytest.raises(DatasetNotFoundError):
        keep_points(reader, observed.id, PLACE, points_of([]), is_complete=True)
