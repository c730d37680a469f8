"""Which epoch a stream begins with.

Journaled streams begin with the journal's, which outlives the process: so who waited at an empty
one is still in the same stream after a restart. All others begin with the process's own, since
their offsets begin again with it. Whatever loses a stream that may begin again renews its epoch.
"""

import secrets

from monitor.config import Namespace


def new_epoch() -> str:
    return secrets.token_hex(4)


class Epochs:
    def __init__(self) -> None:
        self._epoch = new_epoch()
        self.of_journal = new_epoch()

    def of(self, namespace: Namespace) -> str:
        return self.of_journal if namespace.journal else self._epoch

    def renew(self, namespace: Namespace) -> None:
        """A stream of such a namespace is forgotten: should it begin again, it is another one."""
        if namespace.journal:
            self.of_journal = new_epoch()
        else:
            self._epoch = new_epoch()
