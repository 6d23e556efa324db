"""Run the deployments on this machine without a worker: `python deployments/serve.py [trap.toml]`, until interrupted.

The same as `trap ui --no-browser`, for a service manager: the server of PREFECT_API_URL, or a local one that is
started; what is due runs in children of this process, and images that arrive in ./incoming are noticed.
"""

import sys

from trap.cli import main

if __name__ == "__main__":
    sys.exit(main(["ui", "--no-browser", *sys.argv[1:]]))
