"""`python -m monitor` is `lanecast`."""

from monitor.cli import main

main()
