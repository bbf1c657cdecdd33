"""`python -m ks_core.cli`, where the command itself is not on the path."""

import sys

from ks_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
