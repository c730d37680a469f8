"""`python -m tui URL`: attach a console; the operator token comes by environment, never by argument."""

import os
import signal
import sys
from pathlib import Path

from monitor.errors import ConfigError

TOKEN_VARIABLE = "LANECAST_OPERATOR_TOKEN"
CERTIFICATE_VARIABLE = "LANECAST_CERTIFICATE"
"""File of the server's certificate, where the server's own machine is meant."""


def main() -> int:
    """Attach to the server that the one argument names."""
    if len(sys.argv) != 2:
        print("usage: python -m tui URL", file=sys.stderr)
        return 2
    # Until the console listens to it, Ctrl-C ends us in silence: the next import takes half a second.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tui.app import run_console

    try:
        certificate = os.environ.get(CERTIFICATE_VARIABLE)
        return run_console(
            sys.argv[1], os.environ.get(TOKEN_VARIABLE, ""), Path(certificate) if certificate else None
        )
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
