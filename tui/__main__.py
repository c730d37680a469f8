"""`python -m tui URL`: attach a console; the operator token comes by environment, never by argument."""

import os
import signal
import sys

from monitor.errors import ConfigError

TOKEN_VARIABLE = "LANECAST_OPERATOR_TOKEN"


def main() -> int:
    """Attach to the server that the one argument names."""
    if len(sys.argv) != 2:
        print("usage: python -m tui URL", file=sys.stderr)
        return 2
    # Until the console listens to it, Ctrl-C ends us in silence: the next import takes half a second.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tui.app import run_console

    try:
        return run_console(sys.argv[1], os.environ.get(TOKEN_VARIABLE, ""))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
