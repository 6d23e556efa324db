"""Both methods of association for the acceptance cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from made_up_survey import Dataset

SETUPS = [("sqlite", "one-to-one"), ("sqlite", "trap"), ("postgresql", "one-to-one")]
"""Databases and methods; the cases with forks, which are SQL, have a mark and run on both databases."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a case by both methods, or on both databases if a mark names the method."""
    if any("method" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")):
        metafunc.parametrize("dialect", ["sqlite", "postgresql"], indirect=True)
    else:
        metafunc.parametrize(("dialect", "method"), SETUPS, indirect=True)


@pytest.fixture
def dialect(request: pytest.FixtureRequest) -> str:
    """Return the kind of database."""
    kind: str = request.param
    return kind


@pytest.fixture
def method(request: pytest.FixtureRequest) -> str:
    """Return the method of association."""
    value: str = request.param
    return value


@pytest.fixture
def make_dataset(make_dataset: Callable[..., Dataset], method: str) -> Callable[..., Dataset]:
    """Return a function that makes datasets with this method."""

    def make(*, association: dict[str, Any] | None = None, **options: Any) -> Dataset:
        return make_dataset(association={"method": method, **(association or {})}, **options)

    return make
