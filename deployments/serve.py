"""Serve the deployments on this machine without a worker: `python deployments/serve.py [trap.toml]`.

The script is `transients ui --no-browser` for a service manager, until interrupted. It uses the server of
PREFECT_API_URL or starts a local one, runs due flows in child processes, and watches ./incoming for new images.
"""

import sys

from trap.cli import main

if __name__ == "__main__":
    sys.exit(main(["ui", "--no-browser", *sys.argv[1:]]))
