"""One look at a server, as a script takes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from monitor.client import open_client
from monitor.serve.tokens import make_token
from tests.command import lanecast, started
from tests.process import ROOT, Process, lanecast_process
from tests.serve.running import KEYS, Server
from tests.tui.reports import NOON_MS, fill
from tui.app import VIEWS
from tui.model import Model
from tui.once import json_text, take_reports, text_lines

OPERATOR = make_token(KEYS.operator, "console")
QUIET = "port = 0\nlog_level = 'error'\nsimulator.enabled = false"
NAMES = ["url", "health", "alerts", "feeds", "connections", "channels", "books"]
NAMES += ["accounts", "bots", "open_orders", "fills", "logs"]
TITLES = [
    "Lanes",
    "Load",
    "Kinds",
    "Connections",
    "Channels",
    "Feeds",
    "Books",
    "Bots",
    "Open orders",
    "Fills",
]
TITLES += ["Alerts", "Refused, by limit", "Since the start", "By channel", "Log"]


async def look(server: Server) -> Model:
    await server.publish("orders:ann", {"type": "note"})
    await server.publish("orders:paper", {"type": "order_fill", **fill()})
    model = Model(f"http://127.0.0.1:{server.port}")
    async with open_client(model.url, OPERATOR, "console") as client:
        await take_reports(client, model)
    model.add_fill("paper", fill())  # as a feed's would come; the server has none
    return model


@pytest.mark.trio
async def test_every_report_is_taken_and_given_as_the_server_made_it(server: Server) -> None:
    document: dict[str, Any] = orjson.loads(json_text(await look(server)))
    assert list(document) == NAMES
    assert document["health"]["address"] == document["url"]
    assert [row["name"] for row in document["connections"]["rows"]] == ["console"]
    (orders,) = (row for row in document["channels"]["rows"] if row["channel"] == "orders:paper")
    assert orders["published"] == 1
    assert "ledger" in orders
    assert [row["account"] for row in document["accounts"]["rows"]] == ["paper", "ann"]
    assert document["connections"]["rows"][0]["channels"] == []
    (shown,) = document["fills"]
    assert (shown["account"], shown["price"]) == ("paper", fill()["price"])


@pytest.mark.trio
async def test_text_has_every_panel_of_every_view_once_and_cuts_nothing_off(server: Server) -> None:
    lines = list(text_lines(await look(server), 1_795_176_000.0))
    assert [line[2:].split(" · ")[0] for line in lines if line.startswith("# ")] == TITLES
    assert len(TITLES) == len({panel for view in VIEWS for panel in view.PANELS})
    assert not any("\x1b" in line or "…" in line for line in lines)
    (row,) = (line for line in lines if fill()["price"] in line)
    assert row.split()[1:4] == [fill()["market"], "▲", "buy"]


@pytest.mark.trio
async def test_of_many_accounts_the_last_are_taken_and_no_command_is_refused(server: Server) -> None:
    commands = [{"publish": command} for number in range(61) for command in told_of(f"acc{number}")]
    assert "error" not in str(await server.api("batch", commands=commands))
    model = Model(f"http://127.0.0.1:{server.port}")
    async with open_client(model.url, OPERATOR, "console") as client:
        await take_reports(client, model)
    assert not model.refusals
    assert "commands_per_second" not in (await server.get("/metrics")).body.decode()
    document: dict[str, Any] = orjson.loads(json_text(model))
    taken = sorted(row["account"] for row in document["accounts"]["rows"])
    assert (len(taken), document["accounts"]["total"]) == (40, 61)
    assert sorted(shown["account"] for shown in document["fills"]) == taken
    assert sorted(document["bots"]) == sorted(document["open_orders"]) == taken
    lines = list(text_lines(model, 1_795_176_000.0))
    assert {"# Bots · of 40 of 61 accounts", "# Fills · of 40 of 61 accounts"} < set(lines)


@pytest.mark.trio
async def test_of_many_fills_the_newest_are_given_whoever_s_they_are(server: Server) -> None:
    fills = [(f"orders:acc{n % 5}", fill(fill=f"f{n}", time=NOON_MS + n)) for n in range(250)]
    commands = [
        {"publish": {"channel": name, "data": {"type": "order_fill", **told}}} for name, told in fills
    ]
    assert "error" not in str(await server.api("batch", commands=commands))
    model = Model(f"http://127.0.0.1:{server.port}")
    async with open_client(model.url, OPERATOR, "console") as client:
        await take_reports(client, model)
    shown = orjson.loads(json_text(model))["fills"]
    assert [told["fill"] for told in shown] == [f"f{n}" for n in range(50, 250)]


@pytest.mark.trio
async def test_open_orders_and_bots_are_given_as_their_maps_have_them(server: Server) -> None:
    await server.api("batch", commands=[{"publish": command} for command in told_of("ann")])
    model = Model(f"http://127.0.0.1:{server.port}")
    async with open_client(model.url, OPERATOR, "console") as client:
        await take_reports(client, model)
        orders, bots = [await client.subscribe_map(f"{name}:ann") for name in ("open_orders", "botstate")]
    document: dict[str, Any] = orjson.loads(json_text(model))
    assert document["open_orders"] == {"ann": orders.entries}
    assert document["bots"] == {"ann": bots.entries}
    assert (list(orders.entries), list(bots.entries)) == (["my.BTCUSDT/8"], ["grid"])


def told_of(account: str) -> list[dict[str, Any]]:
    """What a backend publishes: a fill, an open order and a bot."""
    deal = {"market": "my.BTCUSDT", "side": "buy", "price": "61000", "size": "0.5"}
    order = {"type": "order_update", **deal, "order": "8", "status": "NEW"}
    bot = {"type": "bot_status", "bot": "grid", "market": "my.BTCUSDT", "status": "active"}
    return [
        {"channel": f"orders:{account}", "data": {"type": "order_fill", "order": "7", **fill()}},
        {"channel": f"orders:{account}", "data": order},
        {"channel": f"bots:{account}", "data": bot},
    ]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("quiet"), QUIET) as process:
        yield process


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Of who has a token and no key."""
    told = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return told | {"LANECAST_OPERATOR_TOKEN": OPERATOR, "LANECAST_DATA_DIR": str(tmp_path / "data")}


def test_it_prints_into_a_pipe_and_leaves_with_0(process: Process, surroundings: dict[str, str]) -> None:
    done = started(surroundings, "console", process.address, "--once", "--output", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert orjson.loads(done.stdout)["health"]["clients"] == 1
    done = started(surroundings, "console", process.address, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "# Lanes\n" in done.stdout


def test_server_that_refuses_is_one_sentence_and_exit_1(
    process: Process, surroundings: dict[str, str]
) -> None:
    done = lanecast(surroundings, "console", process.address, "--once", LANECAST_OPERATOR_TOKEN="forged")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lanecast: ")
    assert "this server did not sign the token: lanecast token NAME --operator makes one" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_a_server_refuses_is_named_and_the_rest_is_printed(
    process: Process, surroundings: dict[str, str]
) -> None:
    done = lanecast(
        surroundings,
        "console",
        process.address,
        "--once",
        LANECAST_OPERATOR_TOKEN=make_token(KEYS.token, "paper"),
    )
    assert done.returncode == 1
    for title in ("Alerts", "Feeds", "Fills", "Lanes"):
        (_, after) = done.stdout.split(f"# {title}\n")
        assert after.startswith("refused: this is not an operator's token")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("lanecast: without ops.connections, ops.channels, ops.books,")
    assert "ops:health, ops:alerts, ops:feeds: this" in sentence
    assert "this is not an operator's token: lanecast token NAME --operator makes one" in sentence


def test_server_that_is_not_there_is_one_sentence_and_exit_1(surroundings: dict[str, str]) -> None:
    done = lanecast(surroundings, "console", "http://127.0.0.1:1", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lanecast: ")
    assert "127.0.0.1:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_output_without_once_is_a_mistake_of_the_user(surroundings: dict[str, str]) -> None:
    done = lanecast(surroundings, "console", "http://127.0.0.1:1", "--output", "json")
    assert done.returncode == 2
    assert "--output says how --once prints: it needs --once" in done.stderr
