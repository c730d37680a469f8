"""How an operator types a time: `90s`, `15m`, `2h`, `1d`."""

import re

from monitor.errors import ConfigError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PART = re.compile(r"(\d{1,6})([smhd])")


def seconds_of(text: str) -> int:
    """Raises ConfigError if it is no time; `0` is none at all."""
    parts = _PART.findall(text)
    if text != "0" and (not parts or "".join(map("".join, parts)) != text.replace(" ", "")):
        raise ConfigError(f"{text!r} is no time: write it as 90s, 15m, 2h or 1d, or 0")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)
