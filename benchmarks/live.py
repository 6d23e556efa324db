"""Measure whether live mode keeps up with images at a cadence, and its lag.

Images of a simulated survey are replayed, with new times, as files into a folder or through sockets
in TraP's format, while ``transients live`` processes them. The share of images that was
stored, the lag (from the arrival of a timestep's last image until the timestep is in the database), its growth and
the memory are printed; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from trap.images.stream import write_frame
from trap.simulation.survey import SurveyConfig, simulate_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)
KEPT_TIMESTEPS = 60
"""Timesteps whose files stay in the folder; 16 images of 512 × 512 pixels take 17 MB."""
LATE_BY = 60.0


class Files:
    """A folder into which timesteps are written, each image with its marker file."""

    def __init__(self, folder: Path, images: list[list[Path]]) -> None:
        self.options = ["--folder", str(folder)]
        self._folder = folder
        folder.mkdir()
        # Only the card of the date is changed in each header.
        self._blobs = [[path.read_bytes() for path in timestep] for timestep in images]
        self._places = [[blob.index(b"DATE-OBS=") for blob in timestep] for timestep in self._blobs]

    def send(self, number: int, time_: datetime) -> None:
        """Write one timestep."""
        which = number % len(self._blobs)
        card = f"DATE-OBS= '{time_.replace(tzinfo=None).isoformat()}'".ljust(80).encode()
        for band, (blob, place) in enumerate(zip(self._blobs[which], self._places[which], strict=True)):
            path = self._folder / f"t{number:05d}_b{band:02d}.fits"
            path.write_bytes(blob[:place] + card + blob[place + 80 :])
            path.with_name(f"{path.name}.done").touch()
        for old in self._folder.glob(f"t{number - KEPT_TIMESTEPS:05d}_*"):
            old.unlink()


class Senders:
    """Sockets through which timesteps are sent, one connection per band."""

    def __init__(self, _folder: Path, images: list[list[Path]]) -> None:
        self._frames = []
        for timestep in images:
            hdus = [fits.open(path)[0] for path in timestep]
            self._frames.append([(hdu.header, np.squeeze(hdu.data)) for hdu in hdus])
        self._servers = [socket.create_server(("127.0.0.1", 0)) for _ in images[0]]
        self._connections: list[socket.socket] = []
        self.options = ["--stream", *(f"127.0.0.1:{server.getsockname()[1]}" for server in self._servers)]
        self.options += ["--keep", str(KEPT_TIMESTEPS)]

    def send(self, number: int, time_: datetime) -> None:
        """Send one timestep."""
        if not self._connections:
            self._connections = [server.accept()[0] for server in self._servers]
        frames = self._frames[number % len(self._frames)]
        for connection, (header, pixels) in zip(self._connections, frames, strict=True):
            header["DATE-OBS"] = time_.replace(tzinfo=None).isoformat()
            connection.sendall(write_frame(header, pixels))


def main() -> None:
    """Replay the images, measure lag and memory, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bands", type=int, default=16)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument(
        "--seconds", type=int, default=300, help="duration of the replay, in s; one timestep per second"
    )
    parser.add_argument("--sources", type=int, default=60, help="steady sources in the field")
    parser.add_argument("--source", choices=("folder", "stream"), default="folder")
    parser.add_argument("--prefect", action="store_true", help="run as a flow, on the configured server")
    parser.add_argument("--max-lag", type=float, default=30.0, help="largest lag, in s; later timesteps are skipped")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), arguments)


def _measure(folder: Path, arguments: argparse.Namespace) -> None:
    survey = SurveyConfig(
        n_timesteps=10, n_bands=arguments.bands, size=arguments.size, n_steady=arguments.sources, n_variables=3,
        n_transients=2,
    )  # fmt: skip
    simulated = simulate_survey(folder / "images", survey).images
    images = [list(simulated[start : start + arguments.bands]) for start in range(0, len(simulated), arguments.bands)]
    replay = (Files if arguments.source == "folder" else Senders)(folder / "incoming", images)
    command = [
        str(Path(sys.executable).with_name("transients")), "live", *replay.options, "--images-per-timestep",
        str(arguments.bands), "--database", f"sqlite:///{folder / 'trap.db'}", "--idle", "20", "--timeout", "5",
        "--max-lag", str(arguments.max_lag), "--json-logs", *([] if arguments.prefect else ["--no-prefect"]),
    ]  # fmt: skip
    log, memory = folder / "log", []
    with log.open("w") as lines:
        live = subprocess.Popen(command, cwd=folder, stderr=lines, stdout=subprocess.PIPE, text=True)  # noqa: S603
        while "live_started" not in log.read_text():
            time.sleep(0.2)
            if live.poll() is not None:
                sys.exit(log.read_text())
        watcher = threading.Thread(target=_watch, args=(live, memory), daemon=True)
        watcher.start()
        late = _at_cadence(arguments.seconds, lambda n: replay.send(n, START + timedelta(seconds=n)))
        output, _ = live.communicate()
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    _print(arguments, events, output, memory, late)


def _at_cadence(seconds: int, send: Callable[[int], None]) -> float:
    """Send one timestep every second; return the largest delay of the sender itself, in s."""
    start, late = time.monotonic(), 0.0
    for number in range(seconds):
        wait = start + number - time.monotonic()
        late = max(late, -wait)
        time.sleep(max(0.0, wait))
        send(number)
    return late


def _watch(live: subprocess.Popen[str], memory: list[float]) -> None:
    """Record the memory [MB] of the program and its workers every five seconds."""
    while live.poll() is None:
        memory.append(sum(_resident(pid) for pid in [live.pid, *_descendants(live.pid)]))
        time.sleep(5.0)


def _descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        for child in found:
            yield child
            yield from _descendants(child)


def _resident(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def _print(
    arguments: argparse.Namespace, events: list[dict[str, object]], output: str, memory: list[float], late: float
) -> None:
    stored = [event for event in events if event["event"] == "timestep_stored"]
    images = sum(int(str(event["images"])) for event in stored)
    status = [event for event in events if event["event"] == "live"]
    lags = np.array([float(str(event["lag"])) for event in status])
    half = lags[len(lags) // 3 :]
    growth = np.polyfit(10.0 * np.arange(len(half)), half, 1)[0] if len(half) > 2 else float("nan")
    asked = arguments.bands * arguments.seconds
    print(f"{arguments.bands} bands of {arguments.size} x {arguments.size} pixels a second, {arguments.seconds} s,")
    print(f"from a {arguments.source}, {'with' if arguments.prefect else 'without'} Prefect, {os.cpu_count()} cores")
    print(f"kept up with {images} of {asked} images: {images / asked:.1%}; largest delay of the sender {late:.1f} s")
    print(f"lag every 10 s: {' '.join(f'{lag:.1f}' for lag in lags)}")
    print(f"growth of the lag after the first third: {60 * growth:+.2f} s per minute")
    print(f"memory, all processes: {memory[len(memory) // 3]:.0f} MB after a third, {memory[-2]:.0f} MB at the end")
    print(output)


if __name__ == "__main__":
    main()
