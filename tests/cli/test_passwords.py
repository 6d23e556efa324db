from __future__ import annotations

import os

import pytest

from trap.cli.database import database_url
from trap.cli.passwords import database_of_environment, hide_password, without_password
from trap.config import PipelineConfig
from trap.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "cleaned", "password"),
    [
        ("postgresql://me:secret@host:5432/sky", "postgresql://me@host:5432/sky", "secret"),
        ("postgresql+psycopg2://me:secret@host/sky", "postgresql+psycopg2://me@host/sky", "secret"),
        ("postgresql://me:s%40c%2Fret@host/sky", "postgresql://me@host/sky", "s@c/ret"),
        ("postgresql://me:s@c/ret@host/sky", "postgresql://me@host/sky", "s@c/ret"),
        ("postgresql://me:secret@/sky?host=/tmp", "postgresql://me@/sky?host=/tmp", "secret"),
        ("postgresql://me@host/sky?application_name=a:b@c", "postgresql://me@host/sky?application_name=a:b@c", None),
        ("postgresql://host:5432/sky", "postgresql://host:5432/sky", None),
        ("postgresql://me@host/sky?password=secret", "postgresql://me@host/sky", "secret"),
        ("postgresql://me@/sky?password=s%40c+t&host=/tmp", "postgresql://me@/sky?host=/tmp", "s@c t"),
        ("postgresql://me@/sky?host=/tmp&password=secret", "postgresql://me@/sky?host=/tmp", "secret"),
        ("postgresql://me@/sky?a=1&password=secret&b=2", "postgresql://me@/sky?a=1&b=2", "secret"),
        ("postgresql://me@host/sky?password=old&password=new", "postgresql://me@host/sky", "new"),
        ("postgresql://me:old@host/sky?password=n:e@w", "postgresql://me@host/sky", "n:e@w"),
        ("postgresql://me@host/sky?sslpassword=other", "postgresql://me@host/sky?sslpassword=other", None),
        ("sqlite:///trap.db", "sqlite:///trap.db", None),
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db", None),
    ],
)
def test_password_is_taken_out_of_the_url(url, cleaned, password):
    assert without_password(url) == (cleaned, password)


@pytest.mark.parametrize("url", ["postgresql://me:secret@host/sky", "postgresql://me@host/sky?password=secret"])
def test_password_goes_to_the_variable_of_the_library(monkeypatch, url):
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    assert hide_password(url) == "postgresql://me@host/sky"
    assert os.environ["PGPASSWORD"] == "secret"


def test_url_without_password_leaves_the_variable_alone(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "set by hand")
    hide_password("postgresql://me@host/sky")
    assert os.environ["PGPASSWORD"] == "set by hand"


@pytest.fixture
def tkp(monkeypatch):
    def set_variables(**given):
        monkeypatch.setenv("PGPASSWORD", "")
        for name, value in given.items():
            monkeypatch.setenv(f"TKP_DB{name}", value)

    return set_variables


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({"PASSWORD": "alone"}, None),
        ({"NAME": "sky", "USER": "me"}, "postgresql://me@localhost:5432/sky"),
        ({"HOST": "db", "PORT": "5433", "USER": "me"}, "postgresql://me@db:5433/me"),
        ({"HOST": "db", "USER": "m/e@x", "NAME": "a b"}, "postgresql://m%2Fe%40x@db:5432/a%20b"),
        ({"ENGINE": "sqlite", "NAME": "/data/trap.db"}, "sqlite:////data/trap.db"),
    ],
)
def test_variables_of_trap_name_a_database(tkp, given, url):
    tkp(**given)
    assert database_of_environment() == url


def test_password_of_trap_goes_to_the_variable_of_the_library(tkp, monkeypatch):
    tkp(NAME="sky")
    monkeypatch.setenv("TKP_DBPASSWORD", "topsecret")
    assert "topsecret" not in database_of_environment()
    assert os.environ["PGPASSWORD"] == "topsecret"


def test_kind_of_database_that_there_is_not_is_refused(tkp):
    tkp(ENGINE="monetdb")
    with pytest.raises(ConfigError, match="TKP_DBENGINE is 'monetdb'"):
        database_of_environment()


def test_option_comes_before_the_environment_and_that_before_the_settings(tkp):
    tkp(ENGINE="sqlite", NAME="environment.db")
    assert database_url("sqlite:///option.db", "sqlite:///file.db") == "sqlite:///option.db"
    assert database_url(None, "sqlite:///file.db") == "sqlite:///environment.db"


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("sky.db", "sqlite:///sky.db"),
        ("../sky.db", "sqlite:///../sky.db"),
        ("/data/sky.db", "sqlite:////data/sky.db"),
        ("sqlite:///sky.db", "sqlite:///sky.db"),
        ("postgres://me:secret@host/sky", "postgresql://me@host/sky"),
    ],
)
def test_database_may_be_a_path_or_have_the_short_scheme(option, url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "")
    assert database_url(option) == database_url(None, option) == url
    config = PipelineConfig().with_options(execution={"database": option.replace(":secret", "")})
    assert config.execution.database == url
