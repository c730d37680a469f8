"""The audit of what is pinned, beside a stand-in of OSV that is asked over a real socket."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from trio.testing import MockClock

from tests.audit import Outcome, Package, audit, read_pins, read_vendored

ROOT = Path(__file__).parent.parent
ADVISORY: dict[str, Any] = {
    "id": "GHSA-vqfr-h8mv-ghfj",
    "summary": "h11 accepts some malformed Chunked-Encoding bodies",
    "aliases": ["CVE-2025-43859"],
    "affected": [
        {
            "package": {"name": "h11", "ecosystem": "PyPI", "purl": "pkg:pypi/h11"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.16.0"}]}],
        }
    ],
}
"""As OSV has it, without what is not read."""


class OSV(BaseHTTPRequestHandler):
    """Knows one advisory, and whom it concerns."""

    record = ADVISORY

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"results": [self._known_of(query) for query in asked["queries"]]})

    def do_GET(self) -> None:
        assert self.path == f"/v1/vulns/{ADVISORY['id']}"
        self._answer(self.record)

    def _known_of(self, query: dict[str, Any]) -> dict[str, Any]:
        is_weak = query["package"] == {"name": "h11", "ecosystem": "PyPI"}
        is_weak = is_weak and Version(query["version"]) < Version("0.16.0")
        return {"vulns": [{"id": ADVISORY["id"], "modified": "2025-04-24T19:13:56Z"}]} if is_weak else {}

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Withdrawn(OSV):
    record = ADVISORY | {"withdrawn": "2025-05-01T00:00:00Z"}


class Forgetful(OSV):
    """Has no advisory to show."""

    def do_GET(self) -> None:
        self.send_error(404)


class Portal(OSV):
    """Answers whatever is asked with a page of its own."""

    def do_POST(self) -> None:
        self._answer("sign in first")


class Short(OSV):
    def do_POST(self) -> None:
        self._answer({"results": []})


class Endless(OSV):
    def do_POST(self) -> None:
        self._answer({"results": [{"next_page_token": "2"}]})


class Broken(OSV):
    def do_POST(self) -> None:
        self.send_error(500)


class Silent(OSV):
    def do_POST(self) -> None:
        self.rfile.read()


@contextmanager
def serving(answers: type[OSV]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pinned(version: str) -> list[Package]:
    """Besides, one of another language that has the same name."""
    return [Package("h11", Version(version)), Package("h11", Version("0.1.0"), "npm")]


@pytest.mark.trio
async def test_weak_pin_is_named_with_its_advisory_and_what_mends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(OSV) as service:
        assert await audit(pinned("0.14.0"), service) is Outcome.WEAK
    told, total = capsys.readouterr().out.splitlines()
    assert told == f"h11 0.14.0 is weak: {ADVISORY['id']} ({ADVISORY['summary']}); mended in 0.16.0"
    assert total.endswith("knows 1 weaknesses")


@pytest.mark.trio
async def test_weakness_is_one_though_its_advisory_can_not_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(Forgetful) as service:
        assert await audit(pinned("0.14.0"), service) is Outcome.WEAK
    assert f"h11 0.14.0 is weak: {ADVISORY['id']}" in capsys.readouterr().out


@pytest.mark.trio
@pytest.mark.parametrize(("answers", "version"), [(OSV, "0.16.0"), (Withdrawn, "0.14.0")])
async def test_pins_of_which_nothing_is_known_are_clean(answers: type[OSV], version: str) -> None:
    with serving(answers) as service:
        assert await audit(pinned(version), service) is Outcome.CLEAN


@pytest.mark.trio
@pytest.mark.parametrize("answers", [Portal, Short, Endless, Broken, Silent])
async def test_who_does_not_answer_as_asked_has_audited_nothing(
    answers: type[OSV], capsys: pytest.CaptureFixture[str], jumping_clock: MockClock
) -> None:
    with serving(answers) as service:
        assert await audit(pinned("0.14.0"), service) is Outcome.NOT_AUDITED
    assert capsys.readouterr().out.startswith(
        f"NOTHING WAS AUDITED: {service} can't be asked about 2 packages: "
    )


@pytest.mark.trio
async def test_without_a_network_nothing_was_audited(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(OSV) as service:
        pass
    assert await audit(pinned("0.14.0"), service) is Outcome.NOT_AUDITED
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("NOTHING WAS AUDITED")


def test_all_that_is_pinned_or_vendored_is_asked_about_in_every_run_of_the_tests() -> None:
    assert len(read_pins()) > 40
    assert {each.name for each in read_vendored()} == {"centrifuge", "uplot"}
    recipe = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # Last, so that nobody has to look for what it says.
    assert recipe.stdout.endswith(f"python -m tests.audit || test $? -eq {Outcome.NOT_AUDITED:d}\n")
