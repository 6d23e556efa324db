"""The site as a whole: failures are pages without traces, and strangers are refused."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from trap.web.app import make_app

SECRET = "a-long-secret"  # noqa: S105


def test_unknown_page_is_a_page_of_its_own(client):
    answer = client.get("/nowhere/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "<script>alert" not in answer.text


def test_unknown_page_of_the_programming_interface_is_json(client):
    answer = client.get("/api/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


def test_scripts_of_other_origins_are_forbidden_by_every_page(client):
    assert "default-src 'self'" in client.get("/").headers["content-security-policy"]


def test_bokeh_comes_from_its_wheel(client):
    answer = client.get("/static/bokeh/bokeh.min.js")
    assert answer.status_code == 200
    assert len(answer.content) > 500_000


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/bokeh/../../../../__init__.py"]
)
def test_files_beyond_the_static_ones_are_not_served(client, path):
    assert client.get(path).status_code == 404


@pytest.fixture
def secret(site):
    return TestClient(make_app(replace(site, token=SECRET)))


def test_without_the_token_nothing_is_shown(secret):
    answer = secret.get("/")
    assert answer.status_code == 401
    assert "a token is needed" in answer.text


@pytest.mark.parametrize(
    "header", [{"authorization": "Bearer a-long-secret"}, {"cookie": "transients_token=a-long-secret"}]
)
def test_token_in_a_header_admits(secret, header):
    assert secret.get("/", headers=header).status_code != 401


def test_token_of_the_address_moves_into_a_cookie(secret):
    answer = secret.get("/?token=a-long-secret&order=-eta", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?order=-eta")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert secret.get("/").status_code != 401


def test_wrong_token_is_refused(secret):
    assert secret.get("/?token=a-wrong-secret").status_code == 401


def test_names_of_other_hosts_are_refused(site):
    visitor = TestClient(make_app(replace(site, hosts=("127.0.0.1", "localhost"))))
    assert visitor.get("/", headers={"host": "evil.example:8765"}).status_code == 400
    assert visitor.get("/", headers={"host": "localhost:8765"}).status_code != 400


@pytest.mark.parametrize("host", ["[::1", "", ":8765", "127.0.0.1.example.org"])
def test_hosts_without_a_name_of_this_machine_are_refused(site, host):
    visitor = TestClient(make_app(replace(site, hosts=("127.0.0.1", "::1"))), raise_server_exceptions=False)
    assert visitor.get("/", headers={"host": host}).status_code == 400
    assert visitor.get("/", headers={"host": "[::1]:8765"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", "http://testserver:1", "testserver"])
def test_forms_of_other_origins_are_refused(site, origin):
    visitor = TestClient(make_app(replace(site, edits=True)), raise_server_exceptions=False)
    assert visitor.post("/datasets/1/vetting", headers={"origin": origin}).status_code == 403


def test_monitors_get_the_headers_of_a_page(client):
    assert client.head("/datasets/1").status_code == 200
    assert client.head("/datasets/99").status_code == 404


def test_token_leads_to_no_other_host(site):
    visitor = TestClient(make_app(replace(site, token=SECRET)), base_url="http://testserver")
    answer = visitor.get(f"http://testserver//evil.example/?token={SECRET}", follow_redirects=False)
    assert answer.headers["location"] == "/evil.example/"
