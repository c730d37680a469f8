"""`python -m tui URL`: attach a console; the operator token comes by environment, never by argument."""

import os
import sys

from monitor.errors import ConfigError
from tui.app import run_console

TOKEN_VARIABLE = "LANECAST_OPERATOR_TOKEN"


def main() -> int:
    """Attach to the server that the one argument names."""
    if len(sys.argv) != 2:
        print("usage: python -m tui URL", file=sys.stderr)
        return 2
    try:
        return run_console(sys.argv[1], os.environ.get(TOKEN_VARIABLE, ""))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
