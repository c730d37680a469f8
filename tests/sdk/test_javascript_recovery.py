"""Recovery and deltas as `centrifuge` from npm sees them."""

from typing import Any

from playwright.sync_api import Page

from tests.process import Process
from tests.sdk.conftest import run
from tests.serve.running import sign

DATA = {"market": "sim.BTCUSDT", "note": 'a "quoted" text, and \u00e9', "pad": "x" * 80}


def start(
    page: Page, process: Process, channel: str, options: dict[str, Any] | None = None, **more: Any
) -> Any:
    """Open a client and subscribe; returns the context of the event."""
    return run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        window.subscription = join(client, given.channel, given.options);
        return await seen(subscription.log, "subscribed");
        """,
        endpoint=process.endpoint,
        channel=channel,
        options=options or {},
        token=sign(sub="ann"),
        **more,
    )


def leave(page: Page) -> None:
    """Unsubscribe, and wait until the server knows."""
    run(page, "subscription.unsubscribe(); await client.rpc('me', {})")


def come_back(page: Page) -> Any:
    return run(page, "subscription.subscribe(); return await seen(subscription.log, 'subscribed')")


def publications(page: Page, count: int) -> list[Any]:
    script = """
    const found = [];
    while (found.length < given.count) found.push((await seen(subscription.log, "publication")).data.n);
    return found;
    """
    found: list[Any] = run(page, script, count=count)
    return found


def test_what_was_published_meanwhile_comes_as_events_in_order(page: Page, process: Process) -> None:
    channel = "chat:js-missed"
    assert start(page, process, channel)["recoverable"]
    process.publish(channel, {"n": 0})
    assert publications(page, 1) == [0]
    leave(page)
    for number in (1, 2, 3):
        process.publish(channel, {"n": number})
    back = come_back(page)
    assert (back["wasRecovering"], back["recovered"]) == (True, True)
    process.publish(channel, {"n": 4})
    assert publications(page, 4) == [1, 2, 3, 4]


def test_a_cut_connection_misses_nothing(page: Page, process: Process) -> None:
    channel = "chat:js-cut"
    start(page, process, channel)
    for number in range(3):
        process.publish(channel, {"n": 3 * number})
        process.api("disconnect", user="ann", disconnect={"code": 3011, "reason": "force reconnect"})
        process.publish(channel, {"n": 3 * number + 1})
        process.publish(channel, {"n": 3 * number + 2})
    assert publications(page, 9) == list(range(9))


def test_what_is_gone_is_told_as_not_recovered(page: Page, process: Process) -> None:
    channel = "prices:js-gone"
    start(page, process, channel)
    process.publish(channel, {"n": 0})
    publications(page, 1)
    leave(page)
    for number in range(1, 23):
        process.publish(channel, {"n": number})
    back = come_back(page)
    assert (back["wasRecovering"], back["recovered"]) == (True, False)
    process.publish(channel, {"n": 99})
    assert publications(page, 1) == [99]


def test_a_position_of_ones_own_is_recovered_from(page: Page, process: Process) -> None:
    channel = "chat:js-since"
    for number in range(3):
        process.publish(channel, {"n": number})
    epoch = process.api("history", channel=channel)["epoch"]
    started = start(page, process, channel, {"since": {"offset": 1, "epoch": epoch}})
    assert started["recovered"]
    assert publications(page, 2) == [1, 2]


def test_state_is_fetched_again_where_nothing_else_would_be_whole(page: Page, process: Process) -> None:
    channel = "prices:js-state"
    asked = run(
        page,
        """
        window.asked = [];
        const getState = async () => {
          const { offset, epoch } = await client.history(given.channel, { limit: 0 });
          asked.push(offset);
          return { offset, epoch };
        };
        window.client = open_client(given.endpoint);
        await seen(client.log, "connected");
        window.subscription = join(client, given.channel, { getState });
        await seen(subscription.log, "subscribed");
        return asked;
        """,
        endpoint=process.endpoint,
        channel=channel,
    )
    assert asked == [0]
    leave(page)
    for number in range(25):
        process.publish(channel, {"n": number})
    come_back(page)
    assert run(page, "return asked") == [0, 25]
    process.publish(channel, {"n": 25})
    assert publications(page, 1) == [25]


def test_deltas_are_decoded_one_in_full_and_the_others_as_changes(page: Page, process: Process) -> None:
    channel = "prices:js-delta"
    start(page, process, channel, {"delta": "fossil"})
    for number in range(3):
        process.publish(channel, {"n": number, **DATA, "last": number * 7})
    assert publications(page, 3) == [0, 1, 2]
    stats = run(page, "return subscription.deltaStats()")
    assert (stats["numFullPayloads"], stats["numDeltaPayloads"]) == (1, 2)
    leave(page)
    for number in range(3, 6):
        process.publish(channel, {"n": number, **DATA, "last": number * 7})
    assert come_back(page)["recovered"]
    process.publish(channel, {"n": 6, **DATA, "last": 0})
    process.publish(channel, {"n": 7, **DATA, "last": 1})
    assert publications(page, 5) == [3, 4, 5, 6, 7]
    assert run(page, "return (await client.rpc('me', {})).data.user") == "ann"


def test_the_latest_is_recovered_and_goes_on_in_changes(page: Page, process: Process) -> None:
    channel = "latest:js"
    process.publish(channel, {"n": 0, **DATA})
    since = {"offset": 0, "epoch": ""}
    assert start(page, process, channel, {"delta": "fossil", "since": since})["recovered"]
    for number in (1, 2):
        process.publish(channel, {"n": number, **DATA})
    assert publications(page, 3) == [0, 1, 2]
    leave(page)
    for number in (3, 4):
        process.publish(channel, {"n": number, **DATA})
    assert come_back(page)["recovered"]
    assert publications(page, 1) == [4]


def test_server_side_subscriptions_are_recovered_and_joins_are_told(page: Page, process: Process) -> None:
    channel = "prices:js-side"
    run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        client.on("join", (context) => client.log.push(["join", context]));
        await seen(client.log, "connected");
        """,
        endpoint=process.endpoint,
        token=sign(sub="side", channels=[channel]),
    )
    assert run(page, "return (await seen(client.log, 'join')).info.user") == "side"
    process.publish(channel, {"n": 0})
    assert run(page, "return (await seen(client.log, 'publication')).data.n") == 0
    run(page, "client.disconnect(); await seen(client.log, 'disconnected')")
    while channel in process.api("channels")["channels"]:
        pass
    process.publish(channel, {"n": 1})
    told = run(page, "client.connect(); return await seen(client.log, 'subscribed')")
    assert (told["wasRecovering"], told["recovered"]) == (True, True)
    assert run(page, "return (await seen(client.log, 'publication')).data.n") == 1


def test_filter_lets_through_what_it_accepts_and_so_does_recovery(page: Page, process: Process) -> None:
    channel = "tape:filtered"
    start(page, process, channel, {"tagsFilter": {"key": "side", "cmp": "in", "vals": ["buy", "both"]}})

    def publish(*sides: str) -> None:
        for number, side in enumerate(sides):
            process.api("publish", channel=channel, data={"n": f"{side}{number}"}, tags={"side": side})

    publish("buy", "sell", "both")
    assert publications(page, 2) == ["buy0", "both2"]
    leave(page)
    publish("sell", "buy", "sell")
    assert come_back(page)["recovered"]
    publish("sell", "both")
    assert publications(page, 2) == ["buy1", "both1"]


def test_filter_can_be_changed(page: Page, process: Process) -> None:
    channel = "tape:changed"
    start(page, process, channel, {"tagsFilter": {"key": "size", "cmp": "gte", "val": "10"}})
    leave(page)
    run(page, "subscription.setTagsFilter({ key: 'size', cmp: 'lt', val: '10' })")
    come_back(page)
    for size in ("10", "9.5", "11", "2"):
        process.api("publish", channel=channel, data={"n": size}, tags={"size": size})
    assert publications(page, 2) == ["9.5", "2"]
