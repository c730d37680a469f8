"""`centrifuge` from npm, the vendored file as it is, in a browser under the page's own policy."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.process import CONFIGURATION, Process, lanecast_process
from tests.sdk.conftest import load_sdk, run
from tests.serve.running import sign


def test_subscriber_receives_reads_history_presence_and_publishes(page: Page, process: Process) -> None:
    channel = "chat:javascript"
    client_id = run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        window.subscription = join(client, given.channel);
        await seen(subscription.log, "subscribed");
        return (await seen(client.log, "connected")).client;
        """,
        endpoint=process.endpoint,
        token=sign(sub="ann", info={"name": "Ann"}),
        channel=channel,
    )
    process.publish(channel, {"n": 1, "text": "lane \u00e9 " * 100})
    got = run(page, "return await seen(subscription.log, 'publication')")
    assert (got["channel"], got["offset"], got["data"]["n"]) == (channel, 1, 1)
    own = run(
        page,
        "await subscription.publish({ n: 2 }); return await seen(subscription.log, 'publication')",
    )
    assert own["data"] == {"n": 2}
    assert own["info"] == {"client": client_id, "user": "ann", "connInfo": {"name": "Ann"}}
    found = run(
        page,
        """
        const since = { offset: 1, epoch: (await subscription.history({ limit: 0 })).epoch };
        return {
          all: await subscription.history({ limit: -1 }),
          later: await subscription.history({ limit: 10, since }),
          newest: await subscription.history({ limit: 1, reverse: true }),
          presence: await subscription.presence(),
          stats: await subscription.presenceStats(),
          me: await client.rpc("me", {}),
          none: await client.rpc("no_such", {}).catch(error => error.code),
        };
        """,
    )
    assert [each["data"]["n"] for each in found["all"]["publications"]] == [1, 2]
    assert [each["data"]["n"] for each in found["later"]["publications"]] == [2]
    assert [each["data"]["n"] for each in found["newest"]["publications"]] == [2]
    assert found["all"]["offset"] == 2
    assert found["presence"]["clients"][client_id]["user"] == "ann"
    assert found["stats"] == {"numClients": 1, "numUsers": 1}
    assert found["me"]["data"]["encoding"] == "deflate"
    assert found["none"] == 108
    run(page, "subscription.unsubscribe(); await seen(subscription.log, 'unsubscribed')")
    run(page, "await client.rpc('me', {})")
    assert channel not in process.api("channels")["channels"]


def test_many_commands_before_the_connection_leave_in_one_message(page: Page, process: Process) -> None:
    offsets = run(
        page,
        """
        const client = open_client(given.endpoint);
        const joined = [...Array(20).keys()].map(number => join(client, `chat:many-${number}`));
        const calls = [...Array(20).keys()].map(number => client.publish(`chat:many-${number}`, number));
        await Promise.all(calls);
        const seen_all = await Promise.all(joined.map(each => seen(each.log, "subscribed")));
        return seen_all.length;
        """,
        endpoint=process.endpoint,
    )
    assert offsets == 20


def test_expired_connection_token_is_fetched_anew_and_refreshed(page: Page, process: Process) -> None:
    now = int(time.time())
    tokens = [sign(sub="ann", exp=now - 10), sign(sub="ann", exp=now + 2), sign(sub="ann", exp=now + 900)]
    left = run(
        page,
        """
        const tokens = given.tokens;
        const client = open_client(given.endpoint, { getToken: async () => tokens.shift() });
        await seen(client.log, "connected");
        while (tokens.length) await new Promise(resolve => setTimeout(resolve, 20));
        await client.rpc("me", {});
        return [tokens.length, client.state];
        """,
        endpoint=process.endpoint,
        tokens=tokens,
    )
    assert left == [0, "connected"]


def test_subscription_token_is_fetched_and_refreshed(page: Page, process: Process) -> None:
    channel = "$chat:javascript"
    now = int(time.time())
    asked = run(
        page,
        """
        const asked = [];
        const getToken = async ({ channel }) => given.tokens[asked.push(channel) - 1];
        const client = open_client(given.endpoint, { token: given.token });
        const subscription = join(client, given.channel, { getToken });
        await seen(subscription.log, "subscribed");
        while (asked.length < 3) await new Promise(resolve => setTimeout(resolve, 20));
        await subscription.history({ limit: 0 });
        return [asked, subscription.state];
        """,
        endpoint=process.endpoint,
        channel=channel,
        token=sign(sub="ann"),
        tokens=[sign(sub="ann", channel=channel, exp=end) for end in (now - 10, now + 2, now + 900)],
    )
    assert asked == [[channel] * 3, "subscribed"]


def test_refused_subscription_is_final_and_the_connection_goes_on(page: Page, process: Process) -> None:
    codes = run(
        page,
        """
        const client = open_client(given.endpoint);
        const codes = [];
        for (const channel of ["orders:somebody", "nowhere:a", "$chat:a", "ops:health"])
          codes.push((await seen(join(client, channel).log, "unsubscribed")).code);
        await client.rpc("me", {});
        return codes;
        """,
        endpoint=process.endpoint,
    )
    assert codes == [103, 102, 103, 103]


def test_server_side_subscriptions_come_and_go(page: Page, process: Process) -> None:
    subscribed = run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        return (await seen(client.log, "subscribed")).channel;
        """,
        endpoint=process.endpoint,
        token=sign(sub="sided", channels=["chat:sided"]),
    )
    assert subscribed == "chat:sided"
    process.publish("chat:sided", 1)
    assert run(page, "return (await seen(client.log, 'publication')).data") == 1
    process.api("subscribe", user="sided", channel="orders:later")
    assert run(page, "return (await seen(client.log, 'subscribed')).channel") == "orders:later"
    process.publish("orders:later", 2)
    assert run(page, "return (await seen(client.log, 'publication')).data") == 2
    process.api("unsubscribe", user="sided", channel="orders:later")
    assert run(page, "return (await seen(client.log, 'unsubscribed')).channel") == "orders:later"


@pytest.mark.parametrize("code", [3000, 3499, 4000, 4499])
def test_client_comes_back_after_a_code_that_allows_it(page: Page, process: Process, code: int) -> None:
    user, channel = f"returning-{code}", f"chat:returning-{code}"
    start_member(page, process, user, channel)
    process.api("disconnect", user=user, disconnect={"code": code, "reason": "come back"})
    lost = run(page, "return await seen(subscription.log, 'subscribing')")
    assert lost["code"] == 1
    assert run(
        page, "return (await seen(client.log, 'connecting', c => c.code === given.code)).reason", code=code
    )
    run(page, "await seen(subscription.log, 'subscribed')")
    process.publish(channel, "again")
    assert run(page, "return (await seen(subscription.log, 'publication')).data") == "again"


@pytest.mark.parametrize("code", [3500, 3999, 4500, 4999])
def test_client_stays_away_after_a_terminal_code(page: Page, process: Process, code: int) -> None:
    user, channel = f"leaving-{code}", f"chat:leaving-{code}"
    start_member(page, process, user, channel)
    process.api("disconnect", user=user, disconnect={"code": code, "reason": "stay away"})
    ended = run(page, "return await seen(client.log, 'disconnected')")
    assert (ended["code"], ended["reason"]) == (code, "stay away")


def start_member(page: Page, process: Process, user: str, channel: str) -> None:
    run(
        page,
        """
        window.client = open_client(given.endpoint, { token: given.token });
        window.subscription = join(client, given.channel);
        await seen(client.log, "connected");
        await seen(subscription.log, "subscribed");
        """,
        endpoint=process.endpoint,
        token=sign(sub=user),
        channel=channel,
    )


def test_server_ended_subscription_is_final_below_2500(page: Page, process: Process) -> None:
    start_member(page, process, "ended", "chat:ended")
    process.api("unsubscribe", user="ended", channel="chat:ended")
    ended = run(page, "return await seen(subscription.log, 'unsubscribed')")
    assert (ended["code"], ended["reason"]) == (2000, "server unsubscribe")
    assert run(page, "await client.rpc('me', {}); return client.state") == "connected"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("client.send({})", 3508),
        ("client.publish('chat:a', 'x'.repeat(70_000)).catch(() => 0)", 3),
    ],
    ids=["send", "message too big"],
)
def test_what_the_server_does_not_take_ends_the_client(
    page: Page, process: Process, script: str, code: int
) -> None:
    ended = run(
        page,
        f"""
        const client = open_client(given.endpoint);
        await seen(client.log, "connected");
        {script};
        return await seen(client.log, "disconnected");
        """,
        endpoint=process.endpoint,
    )
    assert ended["code"] == code


def test_wrong_token_ends_the_client(page: Page, process: Process) -> None:
    ended = run(
        page,
        """
        const client = open_client(given.endpoint, { token: given.token });
        return await seen(client.log, "disconnected");
        """,
        endpoint=process.endpoint,
        token=sign("w" * 64, sub="ann"),
    )
    assert (ended["code"], ended["reason"]) == (3500, "invalid token")


def test_pings_keep_a_client_that_answers_them(browser: Browser, tmp_path: Path) -> None:
    quick = CONFIGURATION + "[limits]\nping_seconds = 0.2\npong_seconds = 0.1\n"
    with lanecast_process(tmp_path, quick) as process, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{process.address}/static/icon.svg")
        load_sdk(page)
        states = run(
            page,
            """
            const client = open_client(given.endpoint);
            await seen(client.log, "connected");
            while (!(await client.rpc("me", {})).data.rtt_ms) await new Promise(done => setTimeout(done, 20));
            return client.log;
            """,
            endpoint=process.endpoint,
        )
        assert states == []
