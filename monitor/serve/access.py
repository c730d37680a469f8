"""Who may read a channel, and who may call what.

One rule, asked by every way in: subscribe and what a subscriber may do, the API's subscribe,
server-side subscriptions, remote calls. A second door with a rule of its own is how somebody
comes to read another's orders.
"""

from monitor.config import Access, Namespace
from monitor.serve.tokens import Claims

FOR_OPERATORS = "ops."
"""Remote calls with this prefix."""


def allows(namespace: Namespace, channel: str, bearer: Claims, *, public_accounts: frozenset[str]) -> bool:
    """Whether the bearer may read `channel`; everybody may read what belongs to `public_accounts`."""
    if bearer.is_operator:
        return True
    if namespace.access is Access.OPERATOR:
        return False
    if channel in bearer.grants:
        return True
    if channel.startswith("$"):
        return False
    if namespace.access is Access.TOKEN:
        account = channel.partition(":")[2]
        return account in public_accounts or (account != "" and account == bearer.user)
    _, is_limited, users = channel.partition("#")
    return not is_limited or (bearer.user != "" and bearer.user in users.split(","))


def opens_to_backends(namespace: Namespace) -> bool:
    """Whether who holds the API key may write to a channel or read it: what is for operators he may not."""
    return namespace.access is not Access.OPERATOR


def may_call(method: str, bearer: Claims) -> bool:
    """Whether the bearer may make a remote call."""
    return bearer.is_operator or not method.startswith(FOR_OPERATORS)
