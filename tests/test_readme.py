"""The README's programs, run as they are pasted, but for the address and the channel."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from monitor.config.namespaces import DEFAULT_NAMESPACES, Namespaces
from monitor.webhook import sign
from tests.browser import PATIENCE_MS
from tests.process import Process
from tests.sdk.conftest import load_sdk
from tests.serve.running import KEYS

HOME = Path(__file__).parent.parent
README = (HOME / "README.md").read_text()
BOTS, CHANNELS = ((HOME / f"docs/{name}.md").read_text() for name in ("bots", "channels"))
SALE = {"sold": 7}
PATIENCE_SECONDS = PATIENCE_MS / 1_000
SECRET = "0123456789abcdef"


def programs(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


ON_ASYNCIO, ON_TRIO, RECEIVER = programs("python")
(ON_NPM,) = programs("js")
IN_A_BROWSER = ON_NPM.removeprefix('import { Centrifuge } from "centrifuge";\n')
"""The vendored file is no module, and says the name to all."""


@contextmanager
def running(program: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def viewer_of(process: Process, channel: str, program: str) -> str:
    address = process.address.removeprefix("http://")
    return program.replace("127.0.0.1:8000", address).replace("dashboard:sales", channel)


def publish_once_somebody_listens(process: Process, channel: str, data: Any = SALE) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while channel not in process.api("channels", pattern=channel)["channels"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.publish(channel, data) == {}


@pytest.mark.parametrize(
    ("program", "channel"),
    [(ON_ASYNCIO, "dashboard:asyncio"), (ON_TRIO, "dashboard:trio")],
    ids=["on asyncio", "on Trio"],
)
def test_viewer_in_python_prints_what_is_published(process: Process, program: str, channel: str) -> None:
    with running(viewer_of(process, channel, program)) as viewer:
        publish_once_somebody_listens(process, channel)
        assert viewer.stdout
        assert viewer.stdout.readline() == f"{SALE}\n"


def test_viewer_in_a_browser_prints_what_is_published(browser: Browser, process: Process) -> None:
    channel = "dashboard:browser"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{process.address}/static/icon.svg")
        load_sdk(page)
        with page.expect_console_message(timeout=PATIENCE_MS) as printed:
            page.evaluate(f"() => {{ {viewer_of(process, channel, IN_A_BROWSER)} }}")
            publish_once_somebody_listens(process, channel)
        assert printed.value.args[0].json_value() == SALE


def test_best_of_a_book_is_printed_from_its_changes(process: Process) -> None:
    (program,) = programs("python", CHANNELS)
    sides = {"bids": {"9.5": "1", "10": "1", "11": None}, "asks": {"12": "3"}}
    with running(viewer_of(process, "", program)) as viewer:
        publish_once_somebody_listens(process, "book:sim.BTCUSDT", {"status": "SYNCED", **sides})
        assert viewer.stdout
        assert viewer.stdout.readline() == "10 12\n"


def test_table_of_channels_has_their_delivery_and_lane_and_each_namespace() -> None:
    namespaces, found = Namespaces(DEFAULT_NAMESPACES), set()
    for line in re.findall(r"^\| (`.*) \|$", CHANNELS, flags=re.MULTILINE):
        names, *_, delivery, lane = line.split(" | ")
        for channel in re.findall(r"`(.*?)`", names):
            namespace = namespaces.find(channel)
            assert namespace is not None
            assert (namespace.delivery, namespace.lane.name.lower()) == (delivery, lane), channel
            found.add(id(namespace))
    assert found == set(map(id, DEFAULT_NAMESPACES.values()))


def test_what_a_bot_is_said_to_publish_is_taken(process: Process) -> None:
    fills = [
        re.findall(r"'\s+(\{\"channel\":\"orders:ann\".*?)'$", text, flags=re.MULTILINE | re.DOTALL)
        for text in (README, BOTS)
    ]
    first, again = (process.api("publish", **json.loads(body)) for (body,) in fills)
    assert first == again
    (program,) = programs("python", BOTS)
    address, key = process.address.removeprefix("http://"), KEYS.api
    given = program.replace("127.0.0.1:8000", address).replace("what is in api.key", key)
    subprocess.run([sys.executable, "-c", given], check=True)
    kept = [
        process.api("history", channel=f"{name}:ann", limit=-1)["publications"] for name in ("orders", "bots")
    ]
    told = [[each["data"]["type"] for each in publications] for publications in kept]
    assert [types[-1] for types in told] == ["order_update", "bot_status"]


def test_receiver_of_alerts_takes_what_is_signed_and_of_now_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]
    body = b'{"event":"raised"}'

    def post(body: bytes, sent: float, secret: str) -> int:
        headers = {
            "Lanecast-Timestamp": str(int(sent)),
            "Lanecast-Signature": sign(secret, str(int(sent)), body),
        }
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport, timeout=PATIENCE_SECONDS) as client:
            return client.post(f"http://127.0.0.1:{port}", content=body, headers=headers).status_code

    with running(RECEIVER.replace("9000", str(port))) as receiver:
        assert post(body, time.time(), SECRET) == 204
        assert post(body, time.time(), SECRET[::-1]) == 403
        assert post(body, time.time() - 301, SECRET) == 403
        assert receiver.stdout
        assert [receiver.stdout.readline() for _ in range(3)] == [f"{body.decode()}\n"] + ["refused\n"] * 2
