"""The access rules against the table in ARCHITECTURE.md: the rule itself, and a server asked at random."""

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config import DEFAULT_NAMESPACES, Access, Namespace
from monitor.serve.access import allows, may_call
from monitor.serve.tokens import Claims, Grant
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client, Refused

COLUMNS = ("nobody", "ann", "bob", "bob, granted it", "an operator")
OPEN = {"history_size": 10, "presence": True, "publish": True}
NAMESPACES = {
    "news": {"access": "public"} | OPEN,
    "desk": {"access": "token"} | OPEN,
    "vault": {"access": "operator"} | OPEN,
}
PUBLIC_ACCOUNTS = frozenset({"paper"})


def read_table() -> dict[str, dict[str, bool]]:
    """By channel, then by bearer."""
    text = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
    lines = text.partition("| a channel like |")[2].partition("\n\n")[0].splitlines()[2:]
    table = {}
    for line in lines:
        channel, _, *said = (cell.strip() for cell in line.strip("|").split("|"))
        assert set(said) <= {"yes", "no"}
        table[channel.strip("`")] = dict(zip(COLUMNS, (word == "yes" for word in said), strict=True))
    return table


TABLE = read_table()
SERVED = [channel for channel in TABLE if channel != "desk:paper"]
"""The simulator, whose account is public, is off."""


def bearer(column: str, channel: str) -> Claims:
    match column:
        case "nobody":
            return Claims()
        case "an operator":
            return Claims("root", is_operator=True)
        case "bob, granted it":
            return Claims("bob", grants={channel: Grant()})
    return Claims(column)


def may_read(channel: str, claims: Claims) -> bool:
    namespace = Namespace(**NAMESPACES[channel.removeprefix("$").partition(":")[0]])
    return allows(namespace, channel, claims, public_accounts=PUBLIC_ACCOUNTS)


def test_table_has_a_channel_of_each_access() -> None:
    assert {namespace["access"] for namespace in NAMESPACES.values()} == set(Access)
    assert {channel.removeprefix("$").partition(":")[0] for channel in TABLE} == set(NAMESPACES)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("channel", TABLE)
def test_rule_is_the_tables(channel: str, column: str) -> None:
    assert may_read(channel, bearer(column, channel)) == TABLE[channel][column]


names = st.text(st.sampled_from("ab#,$:."), max_size=4)


@given(names, names, names)
def test_nobody_reads_anothers_account_whatever_the_names_are(account: str, user: str, other: str) -> None:
    claims = Claims(user, grants={f"desk:{other}": Grant()} if other != account else {})
    assert may_read(f"desk:{account}", claims) == (account == user != "")


@given(names, names)
def test_only_operators_read_what_is_for_operators(name: str, user: str) -> None:
    channel = f"vault:{name}"
    assert not may_read(channel, Claims(user, grants={channel: Grant()}))
    assert may_read(channel, Claims(user, is_operator=True))


@given(names)
def test_limited_channel_is_of_the_users_it_names_and_nobodys_by_an_empty_name(user: str) -> None:
    assert may_read(f"news:a#{user}", Claims(user)) == (user != "" and user in user.split(","))
    assert not may_read("news:a#", Claims(""))
    assert not may_read("news:a#,", Claims(""))


@given(st.text(), st.booleans())
def test_calls_below_ops_are_for_operators(method: str, is_operator: bool) -> None:
    claims = Claims("ann", is_operator=is_operator)
    assert may_call(f"ops.{method}", claims) == is_operator
    assert may_call(f"me.{method}", claims)


def test_by_default_orders_and_bots_are_by_token_operations_by_operators_and_markets_public() -> None:
    by_access: dict[Access, set[str]] = {access: set() for access in Access}
    for name, namespace in DEFAULT_NAMESPACES.items():
        by_access[namespace.access].add(name)
    assert by_access[Access.TOKEN] == {"orders", "bots", "botstate", "open_orders"}
    assert by_access[Access.OPERATOR] == {"ops"}
    assert by_access[Access.PUBLIC] >= {"trades", "ticker", "book", "market:hot"}


# The server, asked at random

CLIENT_COMMANDS = ("publish", "history", "presence", "presence_stats")


class Seat:
    """One connected client, and what the table says he may do."""

    def __init__(self, client: Client, column: str) -> None:
        self.client = client
        self.column = column
        self.user = {"nobody": "", "an operator": "root", "bob, granted it": "bob"}.get(column, column)
        self.subscribed: set[str] = set()

    def reads(self, channel: str) -> bool:
        return TABLE[channel][self.column] or channel in self.subscribed

    def grantable(self, channel: str) -> bool:
        return TABLE[channel]["bob, granted it"] or self.column == "an operator"

    async def ask(self, server: Server, what: str, channel: str) -> None:
        if what in CLIENT_COMMANDS:
            code = await self.client.refusal(what, channel=channel, data=1)
            assert code == (0 if self.reads(channel) else 103), (self.column, what, channel)
        elif what == "unsubscribe":
            assert await self.client.refusal("unsubscribe", channel=channel) == 0
            self.subscribed.discard(channel)
        elif what == "subscribe by the API":
            answer = await server.api("subscribe", channel=channel, user=self.user, client=self.client.id)
            is_open = TABLE[channel]["bob, granted it"]
            assert answer.get("error", {}).get("code", 0) == (0 if is_open else 103)
            self.subscribed |= {channel} if is_open else set()
        else:
            await self.subscribe(channel, with_token=what == "subscribe with a token")

    async def subscribe(self, channel: str, *, with_token: bool) -> None:
        token = {"token": sign(sub=self.user, channel=channel)} if with_token else {}
        code = await self.client.refusal("subscribe", channel=channel, **token)
        if channel in self.subscribed:
            assert code == 105
        elif self.grantable(channel) if with_token else self.reads(channel):
            assert code == 0, (self.column, channel)
            self.subscribed.add(channel)
        else:
            assert code == 103, (self.column, channel)


async def take_seats(server: Server) -> list[Seat]:
    granted = [channel for channel in SERVED if TABLE[channel]["bob, granted it"]]
    tokens = {
        "nobody": "",
        "ann": sign(sub="ann"),
        "bob": sign(sub="bob"),
        "bob, granted it": sign(sub="bob", channels=granted),
        "an operator": sign(KEYS.operator, sub="root"),
    }
    seats = [Seat(await server.client(token), column) for column, token in tokens.items()]
    next(seat for seat in seats if seat.column == "bob, granted it").subscribed |= set(granted)
    return seats


async def published(client: Client) -> set[str]:
    """The channels of the publications that have come."""
    return {document["push"]["channel"] for document in await client.kept() if "pub" in document["push"]}


steps = st.lists(
    st.tuples(
        st.integers(0, len(COLUMNS) - 1),
        st.sampled_from(
            [*CLIENT_COMMANDS, "subscribe", "subscribe with a token", "subscribe by the API", "unsubscribe"]
        ),
        st.sampled_from(SERVED),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_server_lets_in_whom_the_table_lets_in(steps: list[tuple[int, str, str]]) -> None:
    async def main() -> None:
        async with running(namespaces=NAMESPACES) as server:
            seats, operator = await take_seats(server), await server.client(sign(KEYS.operator))
            for number, what, channel in steps:
                await seats[number].ask(server, what, channel)
            for seat in seats:
                await seat.client.kept()
            for channel in SERVED:
                assert await operator.refusal("publish", channel=channel, data="to readers") == 0
            for seat in seats:
                assert await published(seat.client) == seat.subscribed

    trio.run(main)


@pytest.mark.trio
async def test_every_bearer_and_channel_and_way_in_once() -> None:
    async with running(namespaces=NAMESPACES) as server:
        for what in ("subscribe", "subscribe with a token", "subscribe by the API", *CLIENT_COMMANDS):
            for seat in await take_seats(server):
                for channel in SERVED:
                    await seat.ask(server, what, channel)


MAPS = {
    "hall": {"access": "public", "delivery": "map", "history_size": 10},
    "board": {"access": "token", "delivery": "map", "history_size": 10},
    "safe": {"access": "operator", "delivery": "map", "history_size": 10},
}
LIKE = {"hall:a": "news:a", "$hall:a": "$news:a", "board:ann": "desk:ann", "safe:a": "vault:a"}
"""Maps, and the channel of the table that each is like."""


@pytest.mark.trio
async def test_map_is_read_by_whom_the_table_lets_in() -> None:
    columns = {"nobody": "", "ann": sign(sub="ann"), "bob": sign(sub="bob")}
    columns["an operator"] = sign(KEYS.operator, sub="root")
    async with running(namespaces=MAPS) as server:
        for column, token in columns.items():
            client = await server.client(token)
            for channel, like in LIKE.items():
                code = await client.refusal("subscribe", channel=channel, type=1, phase=2)
                assert code == (0 if TABLE[like][column] else 103), (column, channel)
        for channel, like in LIKE.items():
            client = await server.client(sign(sub="bob"))
            token = sign(sub="bob", channel=channel)
            code = await client.refusal("subscribe", channel=channel, type=1, phase=2, token=token)
            assert code == (0 if TABLE[like]["bob, granted it"] else 103), channel


@pytest.mark.trio
async def test_map_is_read_for_as_long_as_its_token_says(jumping_clock: object) -> None:
    async with running(namespaces=MAPS) as server:
        began, client = trio.current_time(), await server.client(sign(sub="bob"))
        token = sign(sub="bob", channel="board:ann", exp=int(time.time()) + 2)
        live = await client.call("subscribe", channel="board:ann", type=1, phase=2, token=token)
        assert live["expires"]
        while (document := await client.document()) == {}:
            await client.say({})
        assert document["push"]["unsubscribe"]["code"] == 2501
        assert 26 <= trio.current_time() - began <= 27.5


@pytest.mark.trio
async def test_maps_that_are_being_read_count_towards_the_channels_of_a_client() -> None:
    async with running(namespaces=MAPS, limits={"channels_per_client": 2}) as server:
        for channel in ("hall:a", "hall:b", "hall:c"):
            for number in range(101):
                await server.api("map_publish", channel=channel, key=str(number), data=number)
        client = await server.client()
        for channel in ("hall:a", "hall:b"):
            page = await client.call("subscribe", channel=channel, type=1, phase=2, limit=100)
            assert page["cursor"]
        assert await client.refusal("subscribe", channel="hall:c", type=1, phase=2) == 106


@pytest.mark.trio
@pytest.mark.parametrize("method", ["ops.connections", "ops.ledger", "ops.disconnect", "ops.limit"])
async def test_remote_calls_of_operators_are_refused_to_others(server: Server, method: str) -> None:
    for token in ("", sign(sub="ann"), sign(sub="root", channels=["chat:a"])):
        client = await server.client(token)
        assert await client.refusal("rpc", method=method, data={"client": client.id}) == 103


@pytest.mark.trio
async def test_token_that_grants_what_is_for_operators_does_not_connect() -> None:
    async with running(namespaces=NAMESPACES) as server:
        for token in (sign(channels=["vault:a"]), sign(sub="ann", subs={"vault:a": {}})):
            client = await server.upgraded()
            with pytest.raises(Refused) as refused:
                await client.connect(token=token)
            assert refused.value.code == 103
        operator = await server.upgraded()
        assert "vault:a" in (await operator.connect(token=sign(KEYS.operator, channels=["vault:a"])))["subs"]


BACKEND_CALLS: dict[str, dict[str, Any]] = {
    "publish": {"data": 1},
    "history": {"limit": -1},
    "history_remove": {},
    "presence": {},
    "presence_stats": {},
    "subscribe": {"user": "ann"},
    "unsubscribe": {"user": "root"},
    "map_publish": {"key": "a", "data": 1},
    "map_remove": {"key": "a"},
    "map_read_state": {},
    "map_read_stream": {},
    "map_stats": {},
    "map_clear": {},
}
"""Every call of the API that is about one channel."""


@pytest.mark.trio
async def test_api_key_opens_nothing_that_is_for_operators() -> None:
    here = {"delivery": "map", "lists": "clients", "history_size": 10}
    async with running(namespaces=NAMESPACES | {"here": here}) as server:
        for channel in ("vault:a", "$vault:a", "ops:health", "here:vault:a"):
            for method, params in BACKEND_CALLS.items():
                answer = await server.api(method, channel=channel, **params)
                assert answer["error"]["code"] == 103, (method, channel)
            (answer,) = (await server.api("broadcast", channels=[channel], data=1))["result"]["responses"]
            assert answer["error"]["code"] == 103


@pytest.mark.trio
async def test_subscription_token_of_the_operator_key_opens_what_is_for_operators() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client(sign(sub="ann"))
        token = sign(KEYS.operator, sub="ann", channel="vault:a")
        assert await client.refusal("subscribe", channel="vault:a", token=token) == 0
        assert await client.refusal("rpc", method="ops.connections") == 103
        assert await client.refusal("sub_refresh", channel="vault:a", token=token) == 0
        lesser = sign(sub="ann", channel="vault:a")
        await client.say({"id": 9, "sub_refresh": {"channel": "vault:a", "token": lesser}})
        assert (await client.closing())[0] == 3500


@pytest.mark.trio
@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "bob", "channel": "chat:a"},
        {"sub": "", "channel": "chat:a"},
        {"sub": "ann", "channel": "chat:b"},
        {"sub": "ann", "channel": "chat:a", "client": "another"},
    ],
)
async def test_anothers_subscription_token_is_a_terminal_close(
    server: Server, claims: dict[str, str]
) -> None:
    for command in ("subscribe", "sub_refresh"):
        client = await server.client(sign(sub="ann"))
        if command == "sub_refresh":
            await client.call("subscribe", channel="chat:a")
        await client.say({"id": 9, command: {"channel": "chat:a", "token": sign(**claims)}})
        assert (await client.closing())[0] == 3500


@pytest.mark.trio
async def test_subscription_token_for_this_very_client_is_taken(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    token = sign(sub="ann", channel="chat:a", client=client.id)
    assert await client.refusal("subscribe", channel="chat:a", token=token) == 0


@pytest.mark.trio
async def test_refresh_makes_nobody_an_operator_and_no_operator_somebody(server: Server) -> None:
    for first, second in ((KEYS.token, KEYS.operator), (KEYS.operator, KEYS.token)):
        client = await server.client(sign(first, sub="root"))
        await client.say({"id": 9, "refresh": {"token": sign(second, sub="root")}})
        assert (await client.closing())[0] == 3500


@pytest.mark.trio
async def test_grant_shows_its_info_to_others_and_its_data_to_the_bearer(server: Server) -> None:
    given: dict[str, Any] = {"info": {"seat": 1}, "data": {"hello": "ann"}}
    client = await server.upgraded()
    connected = await client.connect(token=sign(sub="ann", subs={"chat:a": given}))
    assert connected["subs"]["chat:a"]["data"] == {"hello": "ann"}
    subscribed = await client.call(
        "subscribe", channel="chat:b", token=sign(sub="ann", channel="chat:b", **given)
    )
    assert subscribed["data"] == {"hello": "ann"}
    await server.api("subscribe", channel="chat:c", user="ann", **given)
    assert (await client.push())["subscribe"]["data"] == {"hello": "ann"}
    for channel in ("chat:a", "chat:b", "chat:c"):
        presence = (await client.call("presence", channel=channel))["presence"]
        assert presence[client.id]["chan_info"] == {"seat": 1}


@pytest.mark.trio
async def test_grant_that_can_not_be_told_to_others_is_refused_and_one_of_a_zero_is_not(
    server: Server,
) -> None:
    client = await server.client(sign(sub="ann"))
    for info in (b"[" * 500 + b"]" * 500, b"123456789012345678901234567890"):
        body = b'{"channel":"chat:a","user":"ann","info":%s}' % info
        assert (await server.post("subscribe", body)).json()["error"]["code"] == 107
    await server.api("subscribe", channel="chat:a", user="ann", info=0, data=0)
    assert (await client.push())["subscribe"]["data"] == 0
    assert (await client.call("presence", channel="chat:a"))["presence"][client.id]["chan_info"] == 0


@pytest.mark.trio
async def test_grants_count_towards_the_channels_of_a_client() -> None:
    async with running(limits={"channels_per_client": 2}) as server:
        client = await server.upgraded()
        with pytest.raises(Refused) as refused:
            await client.connect(token=sign(sub="ann", channels=["chat:a", "chat:b", "chat:c"]))
        assert refused.value.code == 106
        client = await server.client(sign(sub="ann", channels=["chat:a", "chat:b"]))
        answer = await server.api("subscribe", channel="chat:c", user="ann", client=client.id)
        assert answer["error"]["code"] == 106


@pytest.mark.trio
async def test_api_key_is_not_told_which_channels_operators_read(server: Server) -> None:
    await server.subscriber("ops:health", "chat:a", token=sign(KEYS.operator))
    assert (await server.api("channels"))["result"] == {"channels": {"chat:a": {"num_clients": 1}}}
    assert (await server.api("info"))["result"]["nodes"][0]["num_channels"] == 1
