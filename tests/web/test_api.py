"""The JSON interface returns what Python returns, as its description says."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.selection import Selection
from trap.web.app import make_app
from trap.web.tables import TABLES

N_CASES = int(os.environ.get("TRAP_API_CASES", "240"))
"""Number of requests of the longest test, for all operations together; 10,000 take minutes."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _digest(url):
    return hashlib.sha256(Path(url.removeprefix("sqlite:///")).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def read(site):
    def rows(name, selection=None, **options):
        with site.reader.read() as connection:
            return read_rows(connection, name, [1], selection, **options)

    return rows


def _try(operation, mode, n, **given_parameters):
    """Send requests that are made from the description of an operation."""

    @given(case=operation.as_strategy(generation_mode=mode, **given_parameters))
    @settings(max_examples=n, deadline=None, suppress_health_check=list(HealthCheck), derandomize=n < 50, database=None)
    def attempt(case):
        response = case.call()
        assert response.status_code < 500, response.text
        assert "Traceback" not in response.text
        case.validate_response(response, checks=CHECKS)

    attempt()


def test_every_request_gets_the_response_that_is_described_and_nothing_is_written(site, database):
    before = _digest(database)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", make_app(site))
    operations = [result.ok() for result in described.get_all_operations()]
    assert len(operations) == 4 + len(TABLES)
    n = max(N_CASES // (2 * len(operations)), 1)
    for operation in operations:
        named = {one: 1 for one in ("number", "runcat", "image") if f"{{{one}}}" in operation.path}
        if not named:
            _try(operation, GenerationMode.POSITIVE, 1)
            continue
        # Most numbers of datasets do not exist, so that most requests name one that does.
        _try(operation, GenerationMode.POSITIVE, n, path_parameters=named)
        _try(operation, GenerationMode.NEGATIVE, max(n // 2, 1))
        _try(operation, GenerationMode.POSITIVE, max(n // 2, 1))
    assert _digest(database) == before


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_those_of_python(client, read, name):
    answer = client.get(f"/api/datasets/1/{name}?size=1000").json()
    expected = read(name)
    assert answer["n_rows"] == len(answer["rows"]) == len(expected["dataset"])
    assert list(answer["columns"]) == list(RESULT_TABLES[name].columns)
    for column, values in expected.items():
        found = [row[column] for row in answer["rows"]]
        if values.dtype.kind == "f":
            np.testing.assert_array_equal(np.array(found, float), np.where(np.isinf(values), np.nan, values))
        elif values.dtype.kind == "M":
            times = np.array(["NaT" if one is None else one.removesuffix("Z") for one in found], "M8[us]")
            np.testing.assert_array_equal(times, values.astype("M8[us]"))
        else:
            assert found == values.tolist()


def test_a_page_has_the_selection_order_and_columns_of_the_query(client, read):
    answer = client.get("/api/datasets/1/sources?min_eta=0.5&order=-eta&size=2&page=2&columns=runcat,eta_int").json()
    expected = read("sources", Selection.of(min_eta=0.5), order=["-eta_int"], columns=["runcat", "eta_int"])
    assert [row["runcat"] for row in answer["rows"]] == expected["runcat"][2:4].tolist()
    assert answer["n_rows"] == len(expected["runcat"])
    described = RESULT_TABLES["sources"].columns["eta_int"]
    assert answer["columns"]["eta_int"]["description"] == described.doc


def test_a_source_has_its_light_curve_and_the_limit_of_an_image_without_a_point(editable, read):
    entry = int(read("transients", limit=1)["runcat"][0])
    points = read("lightcurves", Selection(entries=(entry,)))
    lost = int(points["xtrsrc"][1])
    with sqlite3.connect(editable.url.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM assocxtrsource WHERE xtrsrc = ?", [lost])
    answer = TestClient(make_app(editable)).get(f"/api/datasets/1/sources/{entry}").json()
    assert answer["source"]["runcat"] == entry
    kept = points["xtrsrc"] != lost
    assert [point["f_int"] for point in answer["points"]] == points["f_int"][kept].tolist()
    assert [limit["image"] for limit in answer["limits"]] == points["image"][~kept].tolist()
    assert answer["limits"][0]["upper_limit"] > answer["limits"][0]["rms"] > 0


def test_an_image_and_a_dataset_are_described(client, read):
    rows = read("images")
    image = client.get(f"/api/datasets/1/images/{rows['image'][2]}").json()["image"]
    assert (image["url"], image["rms_qc"]) == (rows["url"][2], rows["rms_qc"][2])
    dataset = client.get("/api/datasets/1").json()
    assert dataset["n_images"] == len(rows["image"])
    assert dataset["settings"]["source_extraction.detection_threshold"] > 0
    assert client.get("/api/datasets").json()["datasets"][0]["n_images"] == len(rows["image"])


def test_keys_are_described_once_for_each_column_of_numbers(client):
    described = client.get("/api/openapi.json").json()
    for name, table in TABLES.items():
        found = [one["name"] for one in described["paths"][f"/api/datasets/{{number}}/{name}"]["get"]["parameters"]]
        numbers = {column for column, one in table.columns.items() if one.dtype.kind in "fi"}
        assert len(found) == len(set(found))
        assert {one[4:] for one in found if one[:4] in ("min_", "max_")} == numbers
    page = client.get("/api").text
    assert all(path in page for path in described["paths"])


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/datasets/9", 404, "9"),
        ("/api/datasets/one", 404, "number"),
        ("/api/datasets/" + "9" * 40, 404, "number"),
        ("/api/datasets/1/coverage", 404, "Not Found"),
        ("/api/datasets/1/sources/0", 404, "dataset 1 has no source 0"),
        ("/api/datasets/1/images/99", 404, "dataset 1 has no image 99"),
        ("/api/datasets/1/sources?fragment=1", 400, "fragment is for pages"),
        ("/api/datasets/1/sources?order=colour", 400, "no column 'colour'"),
        ("/api/datasets/1/sources?page=900000", 400, "pages reach the first"),
    ],
)
def test_a_failure_is_an_object_with_its_cause(client, path, status, message):
    answer = client.get(path)
    assert answer.status_code == status
    assert message in json.dumps(answer.json()["error"])
