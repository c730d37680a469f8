"""Groups of commands that need no server: each is a file, and `monitor/cli.py` has them all."""
