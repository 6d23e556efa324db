from __future__ import annotations

import json
import os
from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from trap.cli import main
from trap.cli.database import database_url
from trap.cli.passwords import database_of_environment, hide_password, without_password
from trap.config import PipelineConfig, load_config
from trap.config.sections import full_url
from trap.db.urls import parse_url, show_url
from trap.errors import ConfigError, DatabaseError
from trap.steps.misc import dump_configs_to_logdir


@pytest.mark.parametrize(
    ("url", "cleaned", "password"),
    [
        ("postgresql://me:secret@host:5432/sky", "postgresql://me@host:5432/sky", "secret"),
        ("postgresql+psycopg2://me:secret@host/sky", "postgresql+psycopg2://me@host/sky", "secret"),
        ("postgresql://me:s%40c%2Fret@host/sky", "postgresql://me@host/sky", "s@c/ret"),
        ("postgresql://me:s@c/ret@host/sky", "postgresql://me@host/sky", "s@c/ret"),
        ("postgresql://me:secret@/sky?host=/tmp", "postgresql://me@/sky?host=/tmp", "secret"),
        ("postgresql://me@host/sky?application_name=a:b@c", "postgresql://me@host/sky?application_name=a:b%40c", None),
        ("postgresql://host:1/sky?application_name=a@b", "postgresql://host:1/sky?application_name=a%40b", None),
        ("postgresql://me@server:secret@host/sky", "postgresql://me%40server@host/sky", "secret"),
        ("postgresql://me:se?cr/et@host/sky", "postgresql://me@host/sky", "se?cr/et"),
        ("postgresql://me:s@e?c=r@host/sky?sslmode=require", "postgresql://me@host/sky?sslmode=require", "s@e?c=r"),
        ("postgresql://me:5432/x@host:1/sky", "postgresql://me@host:1/sky", "5432/x"),
        ("postgresql://me:secret@[::1]:5433/sky", "postgresql://me@[::1]:5433/sky", "secret"),
        ("POSTGRES+psycopg2://me:secret@host/sky", "postgresql+psycopg2://me@host/sky", "secret"),
        ("postgresql+psycopg2cffi://me:secret@host", "postgresql+psycopg2cffi://me@host", "secret"),
        ("postgresql://me@host/sky?p%61ssword=secret", "postgresql://me@host/sky", "secret"),
        ("postgresql://:secret@host/sky", "postgresql://host/sky", "secret"),
        ("postgresql://host:5432/sky", "postgresql://host:5432/sky", None),
        ("postgresql://me@host/sky?password=secret", "postgresql://me@host/sky", "secret"),
        ("postgresql://me@/sky?password=s%40c+t&host=/tmp", "postgresql://me@/sky?host=/tmp", "s@c t"),
        ("postgresql://me@/sky?host=/tmp&password=secret", "postgresql://me@/sky?host=/tmp", "secret"),
        ("postgresql://me@/sky?host=1&password=secret&port=2", "postgresql://me@/sky?host=1&port=2", "secret"),
        ("postgresql://me@host/sky?password=old&password=new", "postgresql://me@host/sky", "new"),
        ("postgresql://me:old@host/sky?password=n:e@w", "postgresql://me@host/sky", "n:e@w"),
        ("sqlite:///trap.db", "sqlite:///trap.db", None),
        ("sqlite:////data/a:b@c.db", "sqlite:////data/a:b@c.db", None),
    ],
)
def test_password_is_taken_out_of_the_url(url, cleaned, password):
    assert without_password(url) == (cleaned, password)


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://me@host/sky?sslpassword=hushhush", "postgresql://me@host/sky?dsn=password%3Dhushhush"),
        *(
            "postgresql://me@host/sky?passwrd=hushhush",
            "postgresql:///me:hushhush@host/sky",
            "mysql://me:hushhush@host/sky",
        ),
        *("postgresql://me%3Ahushhush@host/sky", "postgresql://me:hushhush@host:port/sky", "me:hushhush@host/sky"),
        *("postgresql:/me:hushhush@host/sky", "host=h password=hushhush", "sqlite://me:hushhush@host/trap.db"),
        *("sqlite:///trap.db?password=hushhush", "jdbc:postgresql://me:hushhush@host/sky", "post gres://me:hushhush@h"),
        "postgresql://me:hush%00hush@host/sky",
    ],
)
def test_url_that_may_hide_a_secret_is_refused_without_showing_it(url, capsys):
    with pytest.raises(DatabaseError) as refused:
        parse_url(url)
    assert "hush" not in str(refused.value)
    assert main(["db", "check", "--database", url]) == 1
    assert "hush" not in "".join(capsys.readouterr())


SPECIAL = st.text("@:/?#&=%+ ;,'\"\\[]{}.é\t", max_size=4)
HALVES = ("Qz7Vw", "Kx9Lm")


def urls_with_a_secret():
    """Make URLs of all forms with a password that begins and ends with known letters."""
    secret = st.builds(lambda middle: f"{HALVES[0]}{middle}{HALVES[1]}", SPECIAL)
    encoded = st.one_of(secret, *map(secret.map, (quote, quote_plus, lambda text: quote(text, safe=""))))
    options = "password PASSWORD p%61ssword sslpassword dsn passwd pwd passfile2 oauth_client_secret"
    forms = [
        "{scheme}://{user}:{secret}@{place}",
        "{scheme}://{user}@server:{secret}@{place}",
        "{scheme}://{user}@{place}?{option}={secret}",
        "{scheme}://{user}@{place}?sslmode=prefer&{option}={secret}&application_name=x",
        "{scheme}:///{user}:{secret}@{place}",
        "{scheme}:/{user}:{secret}@{place}",
        "{scheme}://{user}:other@{place}?{option}={secret}",
        "{user}:{secret}@{place}",
        "host=127.0.0.1 port=1 user={user} {option}={secret}",
    ]
    schemes = "postgresql postgres POSTGRESQL postgresql+psycopg2 postgresql+asyncpg pgsql mysql sqlite"
    return st.builds(
        lambda form, **parts: form.format(**parts),
        st.sampled_from(forms),
        scheme=st.sampled_from(schemes.split()),
        user=st.sampled_from(["me", "m%40e", ""]),
        secret=encoded,
        place=st.sampled_from(["127.0.0.1:1/sky", "localhost:1", "[::1]:1/sky", "/sky?host=/nowhere"]),
        option=st.sampled_from(options.split()),
    )


@settings(max_examples=300)
@given(url=urls_with_a_secret())
@example(url="postgresql://me@127.0.0.1:1/sky?PASSWORD=Qz7Vw@Kx9Lm")
@example(url="postgresql://me@127.0.0.1:1/sky?sslpassword=Qz7Vw@Kx9Lm")
def test_no_form_of_a_url_keeps_its_password(url):
    try:
        shown, _ = without_password(full_url(url))
        shown += show_url(parse_url(url))
    except DatabaseError as refused:
        shown = str(refused)
    assert not [half for half in HALVES if half in shown]


@settings(
    max_examples=4,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(url=urls_with_a_secret())
@example(url="postgresql://me@server:Qz7VwKx9Lm@127.0.0.1:1/sky")
@example(url="postgresql://me:Qz7Vw?Kx9Lm@127.0.0.1:1/sky")
@example(url="postgresql://me@127.0.0.1:1/sky?p%61ssword=Qz7VwKx9Lm")
def test_no_form_of_a_url_shows_its_password(url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "trap.toml"
    file.write_text("")
    for line in ("database", "databse"):
        (tmp_path / f"{line}.toml").write_text(f"[execution]\n{line} = {json.dumps(url)}\n")
    (tmp_path / "section.toml").write_text(f"execution = {json.dumps(url)}\n")
    commands = [
        *(["db", "check", "--database", url], ["db", "check", "--databse", url], ["db", "check", f"--databse={url}"]),
        *(
            ["run", "database.toml", "--images", "x.fits", "--no-prefect", "--log-dir", "logs"],
            ["run", url if "://" in url else "x.toml", "--no-prefect"],
        ),
        *(["config", "show", f"{name}.toml"] for name in ("database", "databse", "section")),
        *(
            ["dataset", "show", url],
            ["dataset", "compare", "1", "2", "--database", "trap.toml", "--other-database", url],
        ),
    ]
    for words in commands:
        with suppress(SystemExit):
            main(words)
    output = "".join(capsys.readouterr())
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != tmp_path]
    output += "".join(path.read_text() for path in written)
    shown = [half for half in HALVES if half in output or quote(half) in output]
    assert not shown, output
    assert [path for path in (tmp_path / "logs").glob("trap.toml") if path.stat().st_mode & 0o77] == []


def test_copy_of_the_settings_is_private_and_has_no_password(tmp_path):
    config = PipelineConfig().with_options(execution={"database": "postgresql://me:topsecret@host/sky"})
    (tmp_path / "trap.toml").write_text("")
    (tmp_path / "trap.toml").chmod(0o644)
    path = dump_configs_to_logdir(tmp_path, config)
    assert "topsecret" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_config(path).execution.database == "postgresql://me@host/sky"


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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/host%3Dh%20password%3DSECRET",
        "postgresql://h/x=SECRET",
        "postgresql://h/?dbname=host%3Dh%20password%3DSECRET",
        "postgresql://h/x?options=-c%20my.token%3DSECRET",
        "postgresql://h/x?application_name=a%3DSECRET",
    ],
)
def test_secret_in_a_name_or_an_allowed_option_is_refused_unseen(url):
    with pytest.raises(DatabaseError) as caught:
        parse_url(url)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("options", ["-csearch_path%3Dtrap", "-c%20lock_timeout=5s", "--work_mem=64MB"])
def test_harmless_settings_of_a_server_are_kept(options):
    url = f"postgresql://h/x?options={options}"
    assert parse_url(url).query.keys() == {"options"}
