"""A view that shows what is told of one account: the one told of last, until the operator wants another."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.model import Call, Model
from tui.screens.view import View

ACCOUNTS = Call("ops.accounts", {"sort": "active", "descending": True})
"""Those that there are."""

_TOOLTIP = "Whose fills and bots: the next; :account NAME"


class AccountView(View):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "app.next_account", "Account", id="account", tooltip=_TOOLTIP)
    ]

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The accounts."""
        return (ACCOUNTS,)


def account_title(text: str, model: Model) -> str:
    """A table's title, with whose it is, or of how many."""
    listed, total = len(model.account_names), model.accounts["total"] if model.accounts else 0
    if model.account:
        return f"{text} · {model.account}" + (f", one of {total:,} accounts" if total > 1 else "")
    return text if listed == total else f"{text} · of {listed:,} of {total:,} accounts"
