"""Run the command line as ``python -m trap``."""

import sys

from trap.cli import main

# Worker processes import this module under another name; only the first process is the command.
if __name__ == "__main__":
    sys.exit(main())
