"""What the console hears of a whole server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from monitor.client import LinkState, Publication
from monitor.serve.tokens import make_token
from tests.patience import PATIENCE_SECONDS, until
from tests.serve.running import KEYS, Server, running
from tests.tui.reports import fill
from tui.link import Link
from tui.model import Call, Model
from tui.screens.account import ACCOUNTS

OPERATOR = make_token(KEYS.operator, "console")
CUT = {"user": "console", "disconnect": {"code": 3011, "reason": "force reconnect"}}
"""Has the server close the console's connection in a way that lets it come back."""


@asynccontextmanager
async def linked(server: Server | int, token: str = OPERATOR) -> AsyncIterator[tuple[Link, Model]]:
    """To a server, or to a port at which there is none."""
    model = Model(f"http://127.0.0.1:{server if isinstance(server, int) else server.port}")
    link = Link(model, token)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        yield link, model
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_operator_hears_health_alerts_and_feeds(server: Server) -> None:
    async with linked(server) as (_, model):
        await until(lambda: model.health)
        assert model.is_connected
        assert model.health is not None
        assert [lane["lane"] for lane in model.health["lanes"]] == ["immediate", "high", "normal", "low"]
        assert "order_fill" in {kind["kind"] for kind in model.health["kinds"]}
        assert model.health["address"] == model.url
        assert model.refusals == {}


@pytest.mark.trio
async def test_fill_published_by_a_backend_is_shown_once(server: Server) -> None:
    event = {"type": "order_fill", **fill()}
    async with linked(server) as (link, model):
        link.show_account("paper")
        await until(lambda: model.health)
        for payload in (event, event, {"type": "note"}, {**event, "fill": "f2"}):
            await server.publish("orders:paper", payload)
        await until(lambda: len(model.fills) == 2)


@pytest.mark.trio
async def test_account_told_of_last_is_shown_and_another_once_it_is_chosen(server: Server) -> None:
    for account in ("bob", "ann"):
        await server.publish(f"orders:{account}", {"type": "order_fill", **fill(fill=account)})
    async with linked(server) as (link, model):
        link.ask((ACCOUNTS,))
        await until(lambda: model.account)
        assert (model.account, model.account_names) == ("ann", ["ann", "bob"])
        link.follow_maps(("botstate",))
        link.show_account("bob")
        await until_followed(server, {"orders:bob", "botstate:bob"})
        await server.publish("orders:bob", {"type": "order_fill", **fill(fill="f2")})
        await until(lambda: ("bob", fill()["market"], "f2") in model.fills)
        assert {account for account, _, _ in model.fills} == {"bob"}


async def until_followed(server: Server, wanted: set[str]) -> None:
    """Wait until nothing else of any account has a subscriber."""
    with trio.fail_after(PATIENCE_SECONDS):
        while {name for name in await channels(server) if not name.startswith("ops:")} != wanted:
            await trio.testing.wait_all_tasks_blocked(0.01)


async def channels(server: Server) -> set[str]:
    return set((await server.api("channels"))["result"]["channels"])


@pytest.mark.trio
async def test_connections_come_while_they_are_asked_for(server: Server) -> None:
    async with linked(server) as (link, model):
        await until(lambda: model.health)
        link.ask((Call("ops.connections", {"filter": "console"}),))
        await until(lambda: model.connections)
        assert model.connections is not None
        (row,) = model.connections["rows"]
        assert (row["user"], row["state"], len(row["lanes"])) == ("console", "ok", 4)
        assert "ops:health" in row["channels"]
        assert row["encoding"] == "zstd"


@pytest.mark.trio
async def test_operator_can_disconnect_a_client(server: Server) -> None:
    async with linked(server) as (link, model):
        link.ask((Call("ops.connections", {}),))
        await until(lambda: model.connections)
        assert model.connections is not None
        link.act(Call("ops.disconnect", {"client": model.connections["rows"][0]["id"]}), "Disconnect me")
        await until(lambda: model.link.reason)
        assert model.link.state is LinkState.DISCONNECTED
        link.reconnect()
        await until(lambda: model.is_connected)


@pytest.mark.trio
async def test_what_is_wanted_without_a_connection_is_refused_and_not_kept_for_later() -> None:
    async with linked(1) as (link, model):
        await until(lambda: model.link.failures)
        link.act(Call("ops.tuning", {"action": "on"}), "tuning on")
        assert model.notices.pop() == ("tuning on: not done, as there is no connection", True)


@pytest.mark.trio
async def test_stranger_is_told_what_he_may_not_see(server: Server) -> None:
    async with linked(server, token="") as (link, model):
        link.ask((Call("ops.books", {}),))
        await until(lambda: {"ops:health", "ops.books"} <= model.refusals.keys())
        assert all("this is not an operator's token" in why for why in model.refusals.values())
        assert model.health is None


@pytest.mark.trio
async def test_refusal_goes_once_the_call_is_answered(server: Server) -> None:
    async with linked(server) as (link, model):
        link.ask((Call("ops.connections", {"sort": "nonsense"}),))
        await until(lambda: "ops.connections" in model.refusals)
        link.ask((Call("ops.connections", {}),))
        await until(lambda: not model.refusals)


@pytest.mark.trio
async def test_refusal_goes_with_the_view_that_asked(server: Server) -> None:
    async with linked(server) as (link, model):
        refused = (Call("ops.connections", {"sort": "nonsense"}),)
        link.ask(refused)
        await until(lambda: "ops.connections" in model.refusals)
        link.ask((Call("ops.books", {}),))
        assert model.refusals == {}
        await until(lambda: model.books)


@pytest.mark.trio
async def test_refusal_that_comes_after_the_view_was_left_is_not_shown(server: Server) -> None:
    async with linked(server) as (link, model):
        await until(lambda: model.health)
        link.ask((Call("ops.connections", {"sort": "nonsense"}),))
        await trio.testing.wait_all_tasks_blocked()
        link.ask((Call("ops.books", {}),))
        await until(lambda: model.books)
        assert model.refusals == {}


@pytest.mark.trio
async def test_forged_token_stays_on_show_until_a_new_try(server: Server) -> None:
    async with linked(server, token="forged") as (_, model):
        await until(lambda: model.link.state is LinkState.DISCONNECTED)
        assert model.link.code == 3500


@pytest.mark.trio
async def test_fills_that_were_missed_come_after_a_cut(server: Server) -> None:
    async with linked(server) as (link, model):
        link.show_account("paper")
        await until(lambda: model.health)
        await server.publish("orders:paper", {"type": "order_fill", **fill(), "fill": "f1"})
        await until(lambda: model.fills)
        await cut(server, model)
        await server.publish("orders:paper", {"type": "order_fill", **fill(), "fill": "f2"})
        await until(lambda: len(model.fills) == 2)
        assert not model.gaps


@pytest.mark.trio
async def test_what_is_gone_for_good_is_said() -> None:
    async with running(limits={"outbox_bytes": 65_536}) as server, linked(server) as (link, model):
        link.show_account("paper")
        await until(lambda: model.health)
        await server.publish("orders:paper", {"type": "order_fill", **fill(), "fill": "f1"})
        await until(lambda: model.fills)
        more = {"publish": {"channel": "orders:paper", "data": {"type": "x" * 50_000}}}
        # In one call: the console can't come back between the cut and what it misses.
        await server.api("batch", commands=[{"disconnect": CUT}, *[more] * 3])
        await until(lambda: model.gaps)
        (gap,) = model.gaps
        assert gap.channel == "orders:paper"
        assert gap.since == model.lost_at <= gap.until
        assert model.gap_to_show(gap.until) is gap
        # Has the console subscribe again on this connection, as when a journal fails.
        link._take_orders("paper", Publication("orders:paper", None, is_whole=True, follows_gap=True))
        assert model.gaps[-1].since >= gap.until


async def cut(server: Server, model: Model) -> None:
    """Have the server close the console's connection in a way that lets it come back."""
    lost_before = model.lost_at
    await server.api("disconnect", **CUT)
    await until(lambda: model.lost_at != lost_before)
