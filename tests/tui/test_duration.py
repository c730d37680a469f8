import pytest

from monitor.errors import ConfigError
from tui.duration import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5_400), ("1d", 86_400), ("0", 0)]
)
def test_time_is_read_as_it_is_typed(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "1w", "1h x", "-1h", "1 hour"])
def test_what_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigError, match="write it as 90s, 15m, 2h or 1d, or 0"):
        seconds_of(text)
