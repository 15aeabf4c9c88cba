"""``python -m metavad``: the command line."""

import sys

from metavad.cli import main

if __name__ == "__main__":
    sys.exit(main())
