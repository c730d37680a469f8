"""Colours: two themes of our own besides Textual's, and which one the operator chose last.

Ours tell good, warning and bad apart for every kind of colour vision: they differ in blue and yellow, and in
lightness, never in red and green alone. The dark one's hues are Okabe and Ito's.
"""

from pathlib import Path

from textual.theme import Theme

from monitor.errors import ConfigError

THEMES = (
    Theme(
        name="colour-blind-dark",
        primary="#56B4E9",
        accent="#CC79A7",
        success="#56B4E9",
        warning="#F0E442",
        error="#D55E00",
        foreground="#E6E6E6",
        background="#101418",
        surface="#181D22",
        panel="#232A31",
        variables={"text-success": "#7CC7F2", "text-warning": "#F0E442", "text-error": "#FF8A3D"},
    ),
    Theme(
        name="colour-blind-light",
        primary="#0044CC",
        accent="#0044CC",
        success="#0044CC",
        warning="#806000",
        error="#B2246B",
        foreground="#16191C",
        background="#FAFAFA",
        surface="#F0F1F2",
        panel="#E2E5E8",
        dark=False,
        variables={"text-success": "#0044CC", "text-warning": "#806000", "text-error": "#B2246B"},
    ),
)


def read_theme(path: Path) -> str:
    """The name of the theme that was kept; empty if none was."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def keep_theme(path: Path, name: str) -> None:
    """Remember it for the next console. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror or error}") from None
