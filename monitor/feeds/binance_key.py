"""How a request to one's own Binance account is signed."""

import hashlib
import hmac
from typing import Any

RECEIVE_WINDOW_MS = 5_000


def sign(params: dict[str, Any], secret: str) -> str:
    """HMAC-SHA256, hexadecimal, over the parameters sorted by name."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
