"""Nothing is asked of the network, however old the tables are that astropy brings along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from image_forms import write_fits

TESTS = Path(__file__).parents[1]

SCRIPT = """\
import socket, sys, warnings
asked = []
def refuse(*where, **_):
    asked.append(where)
    raise OSError("no network")
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
connect = socket.socket.connect
def connect_locally(self, address):
    # Processes of this machine, such as workers, are no network.
    return connect(self, address) if self.family == socket.AF_UNIX else refuse(address)
socket.socket.connect = socket.socket.connect_ex = connect_locally
from astropy.time import Time
from astropy.utils import iers
iers.LeapSeconds._today = classmethod(lambda cls: Time("2060-01-01", format="iso", scale="tai"))
{control}
from trap.cli import main
code = main(["inspect", "--json", *sys.argv[1:]])
print(asked, file=sys.stderr)
sys.exit(9 if asked else code)
"""


def run(images, control=""):
    script = SCRIPT.replace("{control}", control)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, images)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def images(tmp_path):
    """Images in systems with and without an equinox, of today and of the far future."""
    return [
        write_fits(tmp_path / "icrs.fits"),
        write_fits(tmp_path / "fk5.fits", RADESYS="FK5", EQUINOX=2000.0),
        write_fits(tmp_path / "fk4.fits", RADESYS="FK4", EQUINOX=1950.0),
        write_fits(tmp_path / "future.fits", DATE_OBS="2059-06-01T00:00:00", TIMESYS="TDB"),
    ]


def test_images_and_bright_sources_need_no_network(images, tmp_path):
    # The clock of the program is the true one, for which the future is far away.
    (tmp_path / "trap.toml").write_text("[quality]\nmax_future_days = 1e5\n")
    done = run(["--config", tmp_path / "trap.toml", *images])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"check": "bright_source"') == len(images)


def test_astropy_itself_would_ask():
    # What the test above would not notice if it made the tables not look old.
    done = run([], control="warnings.simplefilter('ignore'); Time('2020-01-01').tai; sys.exit(9 if asked else 0)")
    assert done.returncode == 9, done.stderr
