from types import SimpleNamespace
from typing import Any

from monitor.serve.closes import CLOSES_EACH, PEERS_MAX, Closes
from monitor.serve.protocol import SHUTDOWN


def session(number: int, *, user: str = "", host: str = "10.0.0.1") -> Any:
    return SimpleNamespace(
        id=f"c{number}",
        user=user,
        address=f"{host}:{number}",
        place=host,
        connected_ms=number,
        goodbye=SHUTDOWN,
    )


def test_last_few_closes_of_a_user_are_kept_wherever_he_came_from() -> None:
    closes = Closes()
    for number in range(CLOSES_EACH + 3):
        closes.note(session(number, user="ann", host=f"10.0.0.{number}"), number)
    found = closes.before(session(99, user="ann"))
    assert [close.client for close in found] == [f"c{n}" for n in range(CLOSES_EACH + 2, 2, -1)]


def test_who_has_no_name_is_known_by_his_address() -> None:
    closes = Closes()
    closes.note(session(1), 1)
    assert [close.code for close in closes.before(session(2))] == [3001]
    assert closes.before(session(3, host="10.0.0.2")) == ()


def test_lately_is_known_by_code_and_time() -> None:
    closes = Closes()
    closes.note(session(1), 10)
    known = [closes.had(session(2), *asked) for asked in ((3001, 10), (3001, 11), (3008, 0))]
    assert known == [True, False, False]


def test_peers_heard_of_longest_ago_are_forgotten() -> None:
    closes = Closes()
    for number in range(PEERS_MAX + 1):
        closes.note(session(number, user=f"u{number}"), number)
    assert not closes.among("c0")
    assert closes.among(f"c{PEERS_MAX}")
