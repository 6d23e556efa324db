"""The simulated skies of these tests."""

from pathlib import Path

import pytest
from sky_fixtures import config, field, sky, stamped

__all__ = ["config", "field", "peak_memory", "sky", "stamped"]


@pytest.fixture
def peak_memory():
    """Return a function that returns the largest memory of this process, in MB, since its last call."""
    control, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")

    def since_last():
        lines = status.read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        control.write_text("5")
        return peak / 1024

    if not control.exists():
        pytest.skip("the kernel does not count the memory of a process")
    since_last()
    return since_last
