"""The lines at the top: which server, how it is, and whether what is shown is still true."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Static

from monitor.client import LinkState
from tui.figures import UNKNOWN, bytes_text, clock_text, count_text, ms_text, printable, rate_text, span_text
from tui.model import Gap, Model, Part
from tui.panels.panel import Panel
from tui.refresh import refresh_text
from tui.refusal import close_text
from tui.reports import HealthReport

_LINKS = {
    LinkState.CONNECTED: ("● connected", "bold $text-success"),
    LinkState.CONNECTING: ("◌ connecting", "bold $text-warning"),
    LinkState.DISCONNECTED: ("✖ disconnected", "bold $text-error"),
}

LEAST_SIZE = Size(80, 24)
_ADDRESS = re.compile(r"^wss?://\S+ ")

Parts = list[tuple[str, str]]


class Header(Static, Panel):
    """Two lines of figures."""

    SHOWS = frozenset({Part.HEALTH, Part.LINK})

    def __init__(self, is_read_only: bool) -> None:
        super().__init__()
        self._is_read_only = is_read_only

    def show(self, model: Model, now: float) -> None:
        """Write what changed."""
        width = self.app.size.width
        pace: Parts = [(" read-only ", "bold $text-warning")] if self._is_read_only else []
        pace += [(" ⟳ ", "$text-muted"), (refresh_text(model.refresh_seconds), "bold")]
        first, second = identity(model, width - _cells(pace)) + pace, vitals(model.health, width)
        _update(self, Content.assemble(*first, "\n", *second))


class Banner(Static, Panel):
    """Why the figures are old, since when, and what happens next; not there while they are fresh."""

    SHOWS = frozenset({Part.LINK, Part.TIME})

    def __init__(self, reconnect_key: str) -> None:
        super().__init__()
        self._reconnect_key = reconnect_key

    def show(self, model: Model, now: float) -> None:
        """Appear, change or go."""
        here = now - model.server_ahead
        text = banner_text(model, here, self._reconnect_key) or small_text(self.app.size)
        self.display = bool(text)
        _update(self, Content(text))


class ViewBar(Static, Panel):
    """The views, their keys, and the path to what was opened; each view can be clicked."""

    SHOWS = frozenset({Part.ALERTS, Part.ACCOUNTS})

    class Picked(Message):
        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, views: Mapping[str, str], path: Callable[[], Sequence[str]]) -> None:
        """`views` with the key of each, in their order; `path` leads from one of them to what is on top."""
        super().__init__()
        self._views = views
        self._path = path
        self._tabs: list[Tab] = []

    def show(self, model: Model, now: float) -> None:
        """Mark the current view, and alerts that are active."""
        counts = {"alerts": len(model.active_alerts)}
        self._tabs = tabs(self._views, self._path(), counts, self.app.size.width - 2)
        _update(self, Content(" ").join(Content.styled(tab.text, tab.style) for tab in self._tabs))

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        left = 0
        for tab in self._tabs:
            if offset is not None and left <= offset.x < left + cell_len(tab.text):
                self.post_message(self.Picked(tab.view))
            left += cell_len(tab.text) + 1


class Tab(NamedTuple):
    view: str
    text: str
    style: str


def tabs(views: Mapping[str, str], path: Sequence[str], counts: Mapping[str, int], width: int) -> list[Tab]:
    """One for each view; where they don't all fit, only the current one and those with a count have names."""
    names = {view: view + (f"▲{counts[view]}" if counts.get(view) else "") for view in views}
    current, *deeper = path
    names[current] = " ▸ ".join([names[current], *map(printable, filter(None, deeper))])
    is_brief = sum(cell_len(f"{key} {names[view]} ") for view, key in views.items()) > width + 1
    found = []
    for view, key in views.items():
        is_current, is_alarming = view == current, bool(counts.get(view))
        text = f"{key} {names[view]}" if is_current or is_alarming or not is_brief else key
        found.append(Tab(view, text, _tab_style(is_current, is_alarming)))
    return found


def _tab_style(is_current: bool, is_alarming: bool) -> str:
    if is_current:
        return "bold $text-accent"
    return "$text-error" if is_alarming else "$text-muted"


def _update(widget: Static, content: Content) -> None:
    if widget.content != content:
        # To arrange the whole screen anew costs more than to write these lines.
        widget.update(content, layout=widget.styles.is_auto_height)


def identity(model: Model, width: int) -> Parts:
    """Which server, whether it is heard, and how its process is."""
    health = model.health
    word, style = _LINKS[model.link.state]
    address = urlsplit(health["address"] if health else model.url).netloc
    parts: Parts = [(" lanecast ", "bold $text-accent"), (word, style)]
    parts += [(" ", ""), (printable(address), "bold"), (" ", "")]
    if health is None:
        return parts
    process = health["process"]
    return parts + _figures(
        width - _cells(parts),
        ("up", span_text(health["uptime_seconds"])),
        ("cpu", f"{process['cpu_percent']:.0f}%"),
        ("mem", bytes_text(process["memory_bytes"])),
        ("version", printable(health["version"])),
    )


def vitals(health: HealthReport | None, width: int) -> Parts:
    """Clients, what goes in and out, what of it is lost, and how late the loop is."""
    if health is None:
        return [(f" clients {UNKNOWN}", "$text-muted")]
    rates, loop = health["rates"], health["loop"]
    return _figures(
        width,
        ("clients", count_text(health["clients"])),
        ("in", f"{rate_text(rates['published'])}/s"),
        ("out", f"{rate_text(rates['sent'])}/s"),
        ("merged", f"{rate_text(rates['merged'])}/s"),
        ("dropped", f"{rate_text(rates['dropped'])}/s"),
        ("lag", f"{ms_text(loop['lag_p99_ms'])} ms"),
        ("bytes", f"{bytes_text(rates['bytes'])}/s"),
        ("subs", count_text(health["subscriptions"])),
    )


def _figures(width: int, *figures: tuple[str, str]) -> Parts:
    """As many as there is room for, from the first on."""
    parts: Parts = []
    for name, text in figures:
        more: Parts = [(f" {name} ", "$text-muted"), (text, "bold"), (" ", "")]
        if _cells(parts + more) > width:
            break
        parts += more
    return parts


def _cells(parts: Parts) -> int:
    return sum(cell_len(text) for text, _ in parts)


def banner_text(model: Model, now: float, key: str) -> str:
    """Empty while all is well; `key` reconnects."""
    if model.health_is_late(now):
        silence = span_text(now - model.health_at)
        return f"▲ no health report for {silence}: what is shown may be old · {key} reconnects"
    refused = next((text for name, text in model.refusals.items() if name.startswith("ops")), "")
    if model.is_connected:
        if refused:
            return f"✖ {printable(refused)}"
        gap = model.gap_to_show(now)
        return f"▲ {printable(gap.channel)}: {gap_text(gap)}" if gap else ""
    return _link_text(model, now, key)


def small_text(size: Size) -> str:
    """Empty where there is room for all."""
    if size.width >= LEAST_SIZE.width and size.height >= LEAST_SIZE.height:
        return ""
    return f"▲ {size.width}x{size.height} is too small: {LEAST_SIZE.width}x{LEAST_SIZE.height} shows all"


def gap_text(gap: Gap) -> str:
    """Between when and when something is missing."""
    since, until = (clock_text(int(at * 1_000)) for at in (gap.since, gap.until))
    return f"{since} to {until} not received"


def _link_text(model: Model, now: float, key: str) -> str:
    link = model.link
    is_final = link.state is LinkState.DISCONNECTED
    since = f"since {clock_text(int(model.link_since * 1_000))}, {span_text(now - model.link_since)}"
    tries = f" · attempt {link.failures + 1}" if link.failures and not is_final else ""
    code = f" (code {link.code})" if link.code else ""
    # The address stands in the line above; here it would push the cause out of 80 columns.
    why = f" · {_ADDRESS.sub('', printable(close_text(link.code, link.reason)))}{code}" if link.reason else ""
    words = "✖ disconnected" if is_final else "◌ not connected"
    return f"{words} {since}{tries} · {key} tries {'again' if is_final else 'now'}{why}"
