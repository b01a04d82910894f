"""``python -m evalc``: the same program as the ``evalc`` command."""

import sys

from evalc.cli import main

if __name__ == "__main__":
    sys.exit(main())
