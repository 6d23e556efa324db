from __future__ import annotations

import pytest
from busy_dataset import FIELD
from made_up_survey import sources

from trap.db.nearest import nearest_entry


@pytest.fixture
def scattered(make_dataset):
    """Entries on both sides of RA 0 and at a pole."""
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([359.9, 0.3, 180.0], [0.0, 0.0, 89.9])))
    return dataset


@pytest.mark.parametrize(
    ("ra", "dec", "expected", "distance"),
    [
        (0.05, 0.0, 359.9, 0.15),  # across RA 0; the other one is 0.25 degrees away
        (0.3, 0.0, 0.3, 0.0),
        (0.0, 90.0, 180.0, 0.1),
        (0.0, 89.9, 180.0, 0.2),  # beyond the pole
        (180.0, -0.1, 180.0, 90.0),  # along the meridian; the others are more than 179 degrees away
    ],
)
def test_nearest_entry_is_found_at_any_distance(scattered, ask, ra, dec, expected, distance):
    found = ask(nearest_entry, scattered.id, ra, dec)
    assert found["wm_ra"] == pytest.approx(expected)
    assert found["distance_deg"] == pytest.approx(distance, abs=1e-9)


def test_empty_catalogue_has_no_nearest_entry(make_dataset, ask):
    assert ask(nearest_entry, make_dataset().id, 10.0, 10.0) is None
