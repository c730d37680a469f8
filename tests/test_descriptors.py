import re
import resource
from pathlib import Path

import psutil
import pytest

from monitor.descriptors import OTHERS, make_room
from tests.process import CHECKOUT, ROOT, lanecast_process

CONNECTIONS = 3_000
CONFIGURATION = f"""
port = 0
simulator.enabled = false
limits.connections = {CONNECTIONS}
"""


def under_limit(soft: str, hard: str) -> tuple[str, ...]:
    """The program as a shell starts it that allows so many open files."""
    script = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$0" "$@"'
    return ("env", f"PYTHONPATH={ROOT}", "sh", "-c", script, *CHECKOUT)


def test_room_for_all_clients_is_made_before_they_come(tmp_path: Path) -> None:
    with lanecast_process(tmp_path, CONFIGURATION, under_limit("256", "4096")) as server:
        soft, _ = psutil.Process(server.pid).rlimit(psutil.RLIMIT_NOFILE)
        (room,) = re.findall(r"FDSize:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
    assert soft > CONNECTIONS
    assert int(room) > CONNECTIONS
    assert "ulimit" not in (tmp_path / "log").read_text()


def test_server_says_for_how_many_clients_the_limit_of_files_has_room(tmp_path: Path) -> None:
    with lanecast_process(tmp_path, CONFIGURATION, under_limit("256", "1024")) as server:
        assert server.http.get("/readyz").status_code == 200
    assert "room for 384 clients, not for limits.connections = 3000" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "error",
    [ValueError("not allowed to raise maximum limit"), PermissionError(1, "Operation not permitted")],
    ids=["a limit of the kernel", "a sandbox"],
)
def test_limit_that_cant_be_raised_is_lived_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*given: object) -> None:
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    assert make_room(CONNECTIONS) == 256 - OTHERS
