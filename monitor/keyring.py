"""The keys that a running server takes: today's, and for a while those from before a rotation.

Its own console comes with a key that is written nowhere and ends with the process: a rotation of the
operator key must not throw out who is watching.
"""

import secrets
import time

from monitor.config import Settings
from monitor.keys import Keys, key_files, load_keys


class Keyring:
    """Newest first; `console` signs the token of this process's own console."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.console = secrets.token_urlsafe(32)

    @property
    def api(self) -> tuple[str, ...]:
        return (self._keys.api, *self._old("api"))

    @property
    def operator(self) -> tuple[str, ...]:
        return (self._keys.operator, *self._old("operator"), self.console)

    @property
    def token(self) -> tuple[str, ...]:
        return (self._keys.token, *self._old("token"))

    def _old(self, name: str) -> tuple[str, ...]:
        now = time.time()
        return tuple(old.key for old in self._keys.old if old.name == name and old.counts(now))

    def replace(self, keys: Keys) -> None:
        """Take these from now on, and no others."""
        self._keys = keys


class KeyFiles:
    """What a keyring is read from."""

    name = "keys"

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings = settings
        self._keyring = keyring
        self.files = key_files(settings)
        """What they are read from; keys that the settings give are in none."""

    def load(self) -> None:
        """Take what the files hold now. Raises ConfigError, and keeps what it had."""
        self._keyring.replace(load_keys(self._settings))
