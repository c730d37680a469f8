import re
from pathlib import Path

from monitor.config import Namespace
from monitor.config.limits import Limits
from monitor.config.settings import JournalSettings
from tests.tui.reports import health
from tests.tui.screen import Screen, run
from tui.model import Model
from tui.panels.refusals import LIMITS, OTHERS, RefusalsTable
from tui.reports import HealthReport

ROOT = Path(__file__).parents[2]


def refused(counts: dict[str, int], at_ms: dict[str, int] | None = None) -> HealthReport:
    return health(totals=health()["totals"] | {"refused": counts, "refused_at": at_ms or {}})


def texts(model: Model, now: float) -> dict[str, list[str]]:
    return {row.key: [str(cell.content) for cell in row.cells] for row in RefusalsTable().rows(model, now)}


def test_limits_that_refused_come_first_with_their_answer_and_when() -> None:
    model = Model("")
    at_ms = {"connections": 100_000, "body_bytes": 160_000}
    model.set_health(refused({"connections": 3, "body_bytes": 1}, at_ms), 165.0)
    first, second, third, *_ = texts(model, 165.0).values()
    assert first == ["3", "1m05s", "connections", "HTTP 503", "clients in all"]
    assert second == ["1", "5s", "body_bytes", "HTTP 413", "size of a request's body"]
    assert third[0] == "0"


def test_what_is_no_limit_is_shown_as_the_bad_request_it_was() -> None:
    model = Model("")
    model.set_health(refused({"404": 2, "tls": 1}), 100.0)
    rows = texts(model, 101.0)
    assert rows["404"][2:] == ["paths with nothing there", "HTTP 404", "a bad request"]
    assert rows["tls"][3:] == ["cut off", "TLS that is broken, or is none"]


def test_all_that_the_server_counts_is_told_by_what_it_is() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("monitor/**/*.py"))
    counted = set(re.findall(r'refused\["([^"]+)"\] \+=', sources))
    assert OTHERS.keys() <= counted <= LIMITS.keys() | OTHERS.keys()


def test_limits_are_called_as_the_settings_call_them() -> None:
    settings = {*Limits.model_fields, *JournalSettings.model_fields, *Namespace.model_fields}
    assert set(LIMITS) <= settings | {"head_bytes", "sockets", "tags_filters"}


def test_they_stand_below_the_alerts_on_a_low_screen_too() -> None:
    async def story(screen: Screen) -> None:
        screen.model.set_health(refused({"connections_per_user": 12}), 4e9)
        await screen.press("colon", *"limits", "enter")
        assert screen.app.current_mode == "alerts"
        assert screen.lines(RefusalsTable)[1].split()[:3] == ["12", "-", "connections_per_user"]

    run(story, (80, 24))
