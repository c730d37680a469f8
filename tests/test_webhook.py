"""The webhook against real receivers: one fails first, one never answers, one can't be trusted."""

import hashlib
import hmac
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import h11
import orjson
import pytest
import trio

from monitor.config import Settings
from monitor.health.alerts import Finding, Severity
from monitor.health.health import Health
from monitor.webhook import ATTEMPTS, DEADLINE_SECONDS, QUEUE_LIMIT, Webhook
from tests.serve.certificates import make_certificate
from tests.serve.running import running

pytestmark = pytest.mark.trio
SECRET = "a secret of the tests"
PATIENCE_SECONDS = ATTEMPTS * DEADLINE_SECONDS + 123
"""By then a post has been given up, and the one behind it not yet."""


class Receiver:
    """Answers with one status after the other, the last one for ever; 0 is no answer."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self._statuses = list(statuses)
        self._posted, self.posts = trio.open_memory_channel[tuple[dict[str, str], bytes]](1_000)
        self.attempts = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError):
            await self._answer(stream)

    async def _answer(self, stream: trio.abc.Stream) -> None:
        connection = h11.Connection(h11.SERVER)
        headers, body = {}, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        self.attempts += 1
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if not status:
            await trio.sleep_forever()
        self._posted.send_nowait((headers, body))
        await stream.send_all(b"HTTP/1.1 %d said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)


class Call:
    """A server of which one thing goes wrong and is mended again."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.health = Health(Settings(), wall_ms=lambda: 1_700_000_000_000)
        self.health.address = "http://127.0.0.1:8000"

    def begin(self) -> None:
        self._update(5_000, Finding("keys", Severity.CRITICAL, "api.key is open to others"))

    def end(self) -> None:
        self._update(30_000)

    def _update(self, milliseconds: int, *findings: Finding) -> None:
        for _ in range(milliseconds // 250):
            self.health.alerts.update(findings, self.now_ms, self.health.wall_ms())
            self.now_ms += 250


@asynccontextmanager
async def called(*statuses: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Call, Receiver]]:
    call, receiver = Call(), Receiver(statuses)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_ssl_over_tcp, ssl_context=tls) if tls else trio.serve_tcp
        listeners: Any = await nursery.start(partial(serve, receiver.serve, 0, host="127.0.0.1"))
        listener = getattr(listeners[0], "transport_listener", listeners[0])
        url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.socket.getsockname()[1]}/alerts"
        nursery.start_soon(Webhook(url, SECRET, call.health).run)
        yield call, receiver
        nursery.cancel_scope.cancel()


async def test_a_receiver_that_fails_first_gets_each_turn_once_signed_and_in_order(
    jumping_clock: object,
) -> None:
    async with called(503, 500, 200) as (call, receiver):
        call.begin()
        call.end()
        posts = [await receiver.posts.receive() for _ in range(4)]
    told = [orjson.loads(body) for _, body in posts]
    assert [each["event"] for each in told] == ["raised", "raised", "raised", "cleared"]
    assert {each["server"] for each in told} == {"http://127.0.0.1:8000"}
    assert told[0]["alert"]["message"] == "api.key is open to others"
    assert told[3]["alert"]["cleared"] is not None
    for headers, body in posts:
        signed = f"{headers['lanecast-timestamp']}.".encode() + body
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["lanecast-signature"] == f"sha256={expected}"
    assert (call.health.webhook.failed, call.health.webhook.dropped) == (2, 0)


async def test_of_what_is_silenced_only_the_end_is_posted_where_its_begin_was(
    jumping_clock: object,
) -> None:
    async with called(200) as (call, receiver):
        call.begin()
        await receiver.posts.receive()
        call.health.alerts.silence("keys", 1_700_000_060_000)
        call.end()
        call.begin()
        call.end()
        call.begin()
        call.health.alerts.silence("keys", None)
        posts = [orjson.loads((await receiver.posts.receive())[1]) for _ in range(2)]
        assert [(post["event"], post["alert"]["id"]) for post in posts] == [("cleared", 1), ("raised", 3)]


async def test_a_receiver_that_never_answers_is_given_up_and_holds_up_nobody(
    jumping_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with called(0) as (call, _):
        began = trio.current_time()
        for _ in range(QUEUE_LIMIT):
            call.begin()
            call.end()
        assert trio.current_time() == began
        assert call.health.webhook.dropped == QUEUE_LIMIT
        await trio.sleep(PATIENCE_SECONDS)
    assert call.health.webhook.dropped == QUEUE_LIMIT + 1
    assert call.health.webhook.failed >= ATTEMPTS
    assert f"in {ATTEMPTS} attempts: no answer within 10 s" in caplog.text
    assert SECRET not in caplog.text


async def test_a_receiver_whose_certificate_nobody_vouches_for_is_told_nothing(
    jumping_clock: object, tmp_path: Path
) -> None:
    files = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate_file, files.key_file)
    async with called(200, tls=context) as (call, receiver):
        call.begin()
        await trio.sleep(PATIENCE_SECONDS)
    assert receiver.attempts == 0
    assert (call.health.webhook.failed, call.health.webhook.dropped) == (ATTEMPTS, 1)


async def test_a_server_posts_to_where_its_settings_say(jumping_clock: object) -> None:
    receiver = Receiver([200])
    nobody = {"symbols": ["BTCUSDT"], "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}
    async with trio.open_nursery() as nursery:
        listeners: Any = await nursery.start(partial(trio.serve_tcp, receiver.serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        alerts = {"webhook_url": url, "webhook_secret": SECRET}
        async with running(feeds={"binance": nobody}, alerts=alerts):
            _, body = await receiver.posts.receive()
        nursery.cancel_scope.cancel()
    assert orjson.loads(body)["alert"]["name"] == "feed:binance"
