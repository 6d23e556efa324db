"""The values that pages share."""

from __future__ import annotations

from dataclasses import replace

import pytest

RECORDED = "http://10.0.0.1:4200/prefect/runs/flow-run/0f3c"


@pytest.mark.parametrize(
    ("page", "prefect_ui", "shown"),
    [
        (RECORDED, "", RECORDED),
        (RECORDED, "https://sky.example/ui", "https://sky.example/ui/runs/flow-run/0f3c"),
        ("http://10.0.0.1/elsewhere", "https://sky.example/ui", "http://10.0.0.1/elsewhere"),
        ("javascript:alert(1)", "", ""),
        ("javascript:alert(1)//runs/flow-run/1", "", ""),
        (None, "https://sky.example/ui", ""),
        ("", "", ""),
    ],
)
def test_page_of_a_run_is_on_the_server_that_is_known(site, page, prefect_ui, shown):
    assert replace(site, prefect_ui=prefect_ui).run_page(page) == shown
