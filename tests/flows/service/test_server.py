"""The choice of a server, and the errors if none is available. A real server is started in tests/e2e."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, Settings, temporary_settings

from flows.service import server
from flows.service.server import Server, ServerError, ensure_server, stop_command, stop_server


@pytest.fixture
def home(tmp_path):
    with temporary_settings({PREFECT_HOME: tmp_path}):
        yield tmp_path


@pytest.fixture
def impostor():
    """Process number of a program that is not a Prefect server."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n")


@pytest.fixture
def closed_port():
    """A port without a listener, reserved for the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_configured_server_that_does_not_answer_is_an_error_with_remedies(closed_port):
    url = f"http://127.0.0.1:{closed_port}/api"
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ServerError, match="--no-prefect") as caught:
        ensure_server()
    assert url in str(caught.value)


def test_without_a_server_there_is_nothing_to_stop(home):
    assert not stop_server()


def test_a_server_that_runs_is_stopped(home):
    code = "import time; time.sleep(600)  # the command contains prefect.server"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            assert server._wait_until(lambda: server._is_prefect_server(process.pid), 10)
            (home / "server.pid").write_text(str(process.pid))
            assert stop_server()
            assert process.wait() == -signal.SIGTERM
        finally:
            process.kill()
    assert not (home / "server.pid").exists()


def test_a_process_with_the_number_of_a_dead_server_is_left_alone(home, impostor):
    (home / "server.pid").write_text(str(impostor))
    assert not stop_server()
    os.kill(impostor, 0)
    assert not (home / "server.pid").exists()


def test_records_of_a_dead_server_do_not_prevent_a_new_one(home, monkeypatch):
    (home / "server.pid").write_text("999999999")
    (home / "trap-server.json").write_text('{"api_url": "http://127.0.0.1:1/api", "pid": 999999999}')
    new = Server("http://127.0.0.1:2/api", 17)

    def start(folder):
        assert not (folder / "server.pid").exists()
        return new

    monkeypatch.setattr(server, "_start_server", start)
    assert ensure_server() == new


def test_a_server_that_runs_but_does_not_answer_is_not_replaced(home, impostor, monkeypatch):
    (home / "server.pid").write_text(str(impostor))
    monkeypatch.setattr(server, "_is_prefect_server", lambda _: True)
    monkeypatch.setattr(server, "_is_healthy", lambda _: False)
    monkeypatch.setattr(server, "STOP_SECONDS", 0.0)
    with pytest.raises(ServerError, match="does not answer"):
        ensure_server()


def test_two_at_once_start_one_server(home, monkeypatch):
    starts = []

    def start(folder):
        starts.append(folder)
        (folder / "server.pid").write_text(str(os.getpid()))
        return Server("http://127.0.0.1:2/api", os.getpid())

    monkeypatch.setattr(server, "_start_server", start)
    monkeypatch.setattr(server, "_is_prefect_server", lambda _: True)
    monkeypatch.setattr(server, "_is_healthy", lambda _: True)

    def find_server():
        with temporary_settings({PREFECT_HOME: home}):
            ensure_server()

    threads = [threading.Thread(target=find_server) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(starts) == 1


def test_servers_of_different_homes_start_one_after_the_other(tmp_path, monkeypatch):
    starting, n_starting = [], []

    def start(home):
        starting.append(home)
        n_starting.append(len(starting))
        time.sleep(0.2)
        starting.remove(home)
        return Server(f"http://{home.name}/api")

    def run(name):
        with temporary_settings({PREFECT_HOME: tmp_path / name}):
            urls[name] = ensure_server().api_url

    urls = {}
    monkeypatch.setattr(server, "_start_server", start)
    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert urls == {"a": "http://a/api", "b": "http://b/api"}
    assert n_starting == [1, 1]


def test_a_server_that_cannot_be_started_is_an_error_with_its_output(home, monkeypatch):
    monkeypatch.setattr(server.sys, "executable", "/bin/false")
    with pytest.raises(ServerError, match="no Prefect server could be started"):
        ensure_server()


def test_the_ui_has_the_address_of_the_api():
    assert Server("http://127.0.0.1:4200/api").ui_url == "http://127.0.0.1:4200"


def test_the_command_to_stop_names_the_home_that_is_not_the_usual_one(monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", "/some where")
    assert stop_command().startswith("PREFECT_HOME='/some where' ")
    assert stop_command().endswith("prefect server stop")


def test_a_used_port_is_not_taken(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(server, "PORT", taken.getsockname()[1])
        assert server._free_port() != taken.getsockname()[1]


def variables_of(model):
    """Yield the environment variables of a settings model and of its sections."""
    for name, field in model.model_fields.items():
        yield f"{model.model_config['env_prefix']}{name}".upper()
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
            yield from variables_of(field.annotation)


def test_prefect_knows_the_settings_of_a_server():
    ours = {name for name in server.SERVER_SETTINGS if name.startswith("PREFECT_")}
    assert ours <= set(variables_of(Settings))


@pytest.mark.parametrize("target", ["precious.txt", "missing.txt"])
def test_a_lock_follows_no_link(home, tmp_path, target):
    precious = tmp_path / "precious.txt"
    precious.write_text("data")
    (home / server.LOCK_FILE).symlink_to(tmp_path / target)
    with pytest.raises(ServerError, match=r"trap-server\.lock cannot be opened"):
        ensure_server()
    assert precious.read_text() == "data"
    assert not (tmp_path / "missing.txt").exists()


def test_a_lock_is_private_and_keeps_what_is_in_its_file(tmp_path):
    (tmp_path / "lock").write_text("kept")
    for name in ("lock", "new"):
        with server._file_lock(tmp_path / name):
            pass
    assert (tmp_path / "lock").read_text() == "kept"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def _answer(listening):
    with listening.accept()[0] as connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.fixture
def clean_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "")  # restored to what it was, even if the code deletes it
            monkeypatch.delenv(spelling)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "exceptions"),
    [
        ({"no_proxy": "example.org", "http_proxy": "http://127.0.0.1:9"}, ["example.org"]),
        ({"NO_PROXY": "example.org", "no_proxy": "", "ALL_PROXY": "http://127.0.0.1:9"}, ["example.org"]),
        ({"no_proxy": "a.org, b.org:80", "NO_PROXY": "::1,10.0.0.0/8"}, ["a.org", "b.org:80", "10.0.0.0/8"]),
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, []),
        ({"all_proxy": "socks4://127.0.0.1:9", "https_proxy": "nonsense://x"}, []),
        ({"no_proxy": "é%,\x7f", "HTTPS_PROXY": "http://127.0.0.1:9"}, []),
        ({"no_proxy": "*", "http_proxy": "http://127.0.0.1:9"}, ["*"]),
    ],
)
def test_no_proxy_of_the_environment_stands_before_the_local_server(clean_proxies, variables, exceptions):
    for name, value in variables.items():
        clean_proxies.setenv(name, value)
    server._bypass_proxy()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]
    assert set(exceptions) <= set(os.environ["no_proxy"].split(","))
    for address in ("127.0.0.1:4200", "localhost:4200"):
        assert urllib.request.proxy_bypass(address)  # by which websockets decide
    with httpx.Client() as client, socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        asked = threading.Thread(target=_answer, args=(listening,))
        asked.start()
        assert client.get(f"http://127.0.0.1:{listening.getsockname()[1]}/").status_code == 204
        asked.join()


def test_proxy_of_another_server_that_the_client_does_not_understand_is_one_line(clean_proxies):
    clean_proxies.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with temporary_settings({PREFECT_API_URL: "http://server.invalid/api"}), pytest.raises(ServerError, match="SOCKS"):
        ensure_server()
