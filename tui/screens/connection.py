"""One connection in full, and the door by which an operator shows it out."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.figures import UNKNOWN, bytes_text, clock_text, count_text, ms_text, printable
from tui.reports import ConnectionReport


class ConnectionScreen(ModalScreen[bool]):
    """Dismissed with True when the connection is to be closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,enter", "dismiss(False)", "Close"),
        ("x", "dismiss(True)", "Disconnect it"),
    ]

    def __init__(self, entry: ConnectionReport) -> None:
        super().__init__()
        self._entry = entry

    def compose(self) -> ComposeResult:
        """One box."""
        lines = [
            Content.assemble((f"{name:<12}", "$text-muted"), printable(text))
            for name, text in details(self._entry)
        ]
        box = Static(Content("\n").join(lines), id="connection")
        box.border_title = "Connection"
        box.border_subtitle = "x disconnects it · Esc closes"
        yield box


def details(entry: ConnectionReport) -> list[tuple[str, str]]:
    """Names and texts, in reading order."""
    lanes = zip(("immediate", "high", "normal", "low"), entry["lanes"], strict=True)
    return [
        ("id", entry["id"]),
        ("address", entry["address"]),
        ("user", entry["user"] or "anonymous"),
        ("client", entry["name"]),
        ("state", entry["state"]),
        ("since", clock_text(entry["connected"])),
        (
            "waiting",
            f"{bytes_text(entry['outbox_bytes'])} · " + ", ".join(f"{lane} {n}" for lane, n in lanes),
        ),
        ("sent", f"{count_text(entry['sent'])} messages, {bytes_text(entry['sent_bytes'])}"),
        ("merged", count_text(entry["merged"])),
        ("dropped", count_text(entry["dropped"])),
        ("resent", count_text(entry["resent"])),
        ("round trip", UNKNOWN if entry["rtt_ms"] is None else f"{ms_text(entry['rtt_ms'])} ms"),
        ("delivery", _delivery_text(entry)),
        ("coding", entry["encoding"]),
        ("channels", ", ".join(entry["channels"]) or "none"),
    ]


def _delivery_text(entry: ConnectionReport) -> str:
    """From publish to the client's hands, with its error; known of clients that answer samples."""
    if entry["e2e_ms"] is None:
        return UNKNOWN
    return f"{ms_text(entry['e2e_ms'])} ± {ms_text(entry['e2e_error_ms'])} ms"
