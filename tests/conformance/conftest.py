"""Both methods of association for the acceptance cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from made_up_survey import Dataset


@pytest.fixture(params=["one-to-one", "trap"])
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
