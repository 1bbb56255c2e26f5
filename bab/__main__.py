"""`python -m hypersplit.bab` is the command `hypersplit`."""

import sys

from hypersplit.bab.command.cli import main

if __name__ == "__main__":
    sys.exit(main())
