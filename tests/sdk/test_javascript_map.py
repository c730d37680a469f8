"""Map subscriptions of `centrifuge` from npm: they hold the server's state without code of ours."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.process import Process
from tests.sdk.conftest import run
from tests.serve.running import sign

PRELUDE = """
() => {
  window.hold = (client, channel, options = {}) => {
    const entries = new Map();
    const log = [];
    const subscription = client.newMapSubscription(channel, { minResubscribeDelay: 10, ...options });
    for (const name of ["subscribed", "unsubscribed", "error"])
      subscription.on(name, (context) => log.push([name, context]));
    subscription.on("sync", (context) => {
      entries.clear();
      for (const { key, data } of context.entries) entries.set(key, data);
      log.push(["sync", context]);
    });
    subscription.on("update", (context) => {
      if (context.removed) entries.delete(context.key);
      else entries.set(context.key, context.data);
      log.push(["update", context]);
    });
    subscription.subscribe();
    return Object.assign(subscription, { log, entries });
  };
  window.state = ({ entries }) => Object.fromEntries([...entries].sort());
  window.until = async (subscription, wanted) => {
    while (JSON.stringify(state(subscription)) !== JSON.stringify(wanted))
      await new Promise((resolve) => setTimeout(resolve, 5));
  };
}
"""


@pytest.fixture
def page(page: Page) -> Page:
    """It has functions to hold a map's state by, too."""
    page.evaluate(PRELUDE)
    return page


def put(process: Process, channel: str, **entries: Any) -> None:
    for key, data in entries.items():
        process.api("map_publish", channel=channel, key=key, data=data)


def start(page: Page, process: Process, channel: str, user: str, **options: Any) -> Any:
    """Hold a map, and return the entries of its first sync."""
    synced = run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        window.bag = hold(client, given.channel, given.options);
        return await seen(bag.log, "sync");
        """,
        endpoint=process.endpoint,
        token=sign(sub=user),
        channel=channel,
        options=options,
    )
    return {entry["key"]: entry["data"] for entry in synced["entries"]}


def wait_for(page: Page, state: dict[str, Any]) -> None:
    run(page, "await until(bag, given.state)", state=state)


def test_sdk_reads_all_pages_and_follows(page: Page, process: Process) -> None:
    channel = "bag:pages"
    put(process, channel, **{f"k{number}": number for number in range(7)})
    assert start(page, process, channel, "pages", pageSize=2) == {f"k{number}": number for number in range(7)}
    put(process, channel, k3="changed", k9="new")
    process.api("map_remove", channel=channel, key="k0")
    wait_for(page, {"k1": 1, "k2": 2, "k3": "changed", "k4": 4, "k5": 5, "k6": 6, "k9": "new"})


def test_sdk_ends_with_the_state_though_it_changes_while_pages_are_read(page: Page, process: Process) -> None:
    channel = "bag:moving"
    put(process, channel, **{f"k{number}": 0 for number in range(9)})
    run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        await seen(client.log, "connected");
        const writer = open_client(given.endpoint, { token: given.token });
        await seen(writer.log, "connected");
        window.bag = hold(client, given.channel, { pageSize: 1 });
        for (let n = 1; n < 40; n++) await writer.mapPublish(given.channel, `k${n % 9}`, n);
        await writer.mapRemove(given.channel, "k5");
        """,
        endpoint=process.endpoint,
        token=sign(sub="moving"),
        channel=channel,
    )
    told = process.api("map_read_state", channel=channel, limit=100)["entries"]
    wait_for(page, {entry["key"]: entry["data"] for entry in told})


def test_sdk_sets_and_removes_keys(page: Page, process: Process) -> None:
    start(page, process, "bag:own", "owner")
    run(page, "await bag.publish('a', { n: 1 }); await bag.publish('b', 2); await bag.remove('a')")
    wait_for(page, {"b": 2})
    assert process.api("map_stats", channel="bag:own") == {"num_keys": 1}


def test_sdk_recovers_by_updates_and_is_not_synced_again(page: Page, process: Process) -> None:
    channel = "bag:cut"
    put(process, channel, a=1, b=1)
    start(page, process, channel, "cut")
    run(page, "client.disconnect()")
    put(process, channel, b=2, c=3)
    process.api("map_remove", channel=channel, key="a")
    run(page, "client.connect(); await until(bag, given.state)", state={"b": 2, "c": 3})
    log = run(page, "return bag.log.map(([name, context]) => [name, context.recovered ?? false])")
    assert log == [["subscribed", True], ["update", False], ["update", False], ["update", False]]


def test_sdk_starts_from_scratch_where_the_stream_is_too_short(page: Page, process: Process) -> None:
    channel = "short:cut"
    put(process, channel, a=1, b=1)
    start(page, process, channel, "short")
    run(page, "client.disconnect()")
    process.api("map_remove", channel=channel, key="a")
    put(process, channel, b=2, c=3, d=4)
    run(page, "client.connect(); await until(bag, given.state)", state={"b": 2, "c": 3, "d": 4})
    assert run(page, "return bag.log.filter(([name]) => name === 'sync').length") == 1


def test_sdk_can_be_told_that_its_position_is_gone(page: Page, process: Process) -> None:
    channel = "short:fatal"
    put(process, channel, a=1)
    start(page, process, channel, "fatal", unrecoverableStrategy="fatal")
    run(page, "client.disconnect()")
    put(process, channel, b=2, c=3, d=4)
    ended = run(page, "client.connect(); return await seen(bag.log, 'unsubscribed')")
    assert ended["code"] == 112


def test_sdk_is_synced_anew_with_a_map_without_stream(page: Page, process: Process) -> None:
    channel = "cursor:page"
    put(process, channel, a=1, b=1)
    assert start(page, process, channel, "ephemeral", pageSize=1) == {"a": 1, "b": 1}
    run(page, "client.disconnect()")
    process.api("map_remove", channel=channel, key="a")
    run(page, "client.connect(); await until(bag, given.state)", state={"b": 1})
    log = run(page, "return bag.log.map(([name, context]) => [name, context.recoverable ?? null])")
    assert log == [["subscribed", False], ["sync", None]]


def test_sdk_is_refused_where_the_channel_is_no_map(page: Page, process: Process) -> None:
    codes = run(
        page,
        """
        const client = open_client(given.endpoint);
        const codes = [];
        codes.push((await seen(hold(client, "chat:a").log, "unsubscribed")).code);
        codes.push((await seen(join(client, "bag:plain").log, "unsubscribed")).code);
        await client.rpc("me", {});
        return codes;
        """,
        endpoint=process.endpoint,
    )
    assert codes == [103, 103]


def test_sdk_holds_the_part_of_a_map_that_its_filter_accepts(page: Page, process: Process) -> None:
    channel = "tagged:part"

    def put_tagged(key: str, data: int, owner: str) -> None:
        process.api("map_publish", channel=channel, key=key, data=data, tags={"owner": owner})

    for number in range(4):
        put_tagged(f"k{number}", number, "ann" if number % 2 else "bob")
    only_ann = {"key": "owner", "cmp": "eq", "val": "ann"}
    assert start(page, process, channel, "ann", pageSize=1, tagsFilter=only_ann) == {"k1": 1, "k3": 3}
    put_tagged("k2", 22, "bob")
    put_tagged("k1", 11, "ann")
    process.api("map_remove", channel=channel, key="k3")
    wait_for(page, {"k1": 11})
    run(
        page,
        """
        bag.unsubscribe();
        bag.setTagsFilter({ key: "owner", cmp: "neq", val: "ann" });
        bag.subscribe();
        await until(bag, { k0: 0, k2: 22 });
        """,
    )


def test_sdk_reads_a_map_told_in_changes_across_removals_and_a_cut(page: Page, process: Process) -> None:
    channel = "changing:keys"

    def value(number: int) -> dict[str, Any]:
        return {"note": 'a "quoted" text, and é', "pad": "x" * 80, "n": number}

    def deltas() -> int:
        return int(run(page, "return bag.deltaStats().numDeltaPayloads"))

    put(process, channel, a=value(1), b=value(2), c=value(3))
    started = start(page, process, channel, "changing", pageSize=1, delta="fossil")
    assert started == {"a": value(1), "b": value(2), "c": value(3)}
    put(process, channel, b=value(4), a=value(5))
    process.api("map_remove", channel=channel, key="c")
    put(process, channel, c=value(6))
    wait_for(page, {"a": value(5), "b": value(4), "c": value(6)})
    assert deltas() == 2
    run(page, "client.disconnect()")
    put(process, channel, a=value(7))
    process.api("map_remove", channel=channel, key="b")
    run(page, "client.connect(); await until(bag, given.state)", state={"a": value(7), "c": value(6)})
    put(process, channel, c=value(8), a=value(9), b=value(10))
    wait_for(page, {"a": value(9), "b": value(10), "c": value(8)})
    assert deltas() == 4


def test_sdk_holds_who_is_there_by_client_and_by_user(page: Page, process: Process) -> None:
    present = run(
        page,
        """
        window.people = async (count) => {
          while (clients.entries.size !== count) await new Promise((resolve) => setTimeout(resolve, 5));
          return [[...clients.entries.values()].sort(), [...users.entries.keys()].sort()];
        };
        const watch = (subscription) => {
          const entries = new Map();
          const set = ({ key, removed, info }) =>
            removed ? entries.delete(key) : entries.set(key, info?.user);
          subscription.on("sync", (context) => context.entries.forEach(set));
          subscription.on("update", set);
          subscription.subscribe();
          return Object.assign(subscription, { entries });
        };
        window.client = open_client(given.endpoint, { token: given.token });
        window.clients = watch(client.newMapClientsSubscription("here:bag:present"));
        window.users = watch(client.newMapUsersSubscription("people:bag:present"));
        await clients.ready(); await users.ready();
        window.bag = hold(client, "bag:present");
        await seen(bag.log, "subscribed");
        window.other = open_client(given.endpoint, { token: given.other });
        hold(other, "bag:present");
        while (users.entries.size !== 2) await new Promise((resolve) => setTimeout(resolve, 5));
        return await people(2);
        """,
        endpoint=process.endpoint,
        token=sign(sub="ann"),
        other=sign(sub="bob"),
    )
    assert present == [["ann", "bob"], ["ann", "bob"]]
    assert run(page, "bag.unsubscribe(); return (await people(1))[0]") == ["bob"]
    assert run(page, "other.disconnect(); return (await people(0))[0]") == []
    run(page, "while (users.entries.size) await new Promise((resolve) => setTimeout(resolve, 5));")
