import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.config import Lane, Settings
from monitor.health.feeds import FeedHealth
from monitor.health.health import Health
from monitor.health.kind import Stages
from monitor.health.metrics import CONTENT_TYPE, FRESH_NS, Exposition, exposition

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def health() -> Health:
    return Health(Settings())


def scrape(health: Health) -> Samples:
    families = text_string_to_metric_families(b"".join(exposition(health)).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.trio
async def test_text_is_made_anew_after_a_quarter_of_a_second_however_often_it_is_asked_for() -> None:
    now_ns = 1
    health = Health(Settings(), clock_ns=lambda: now_ns)
    metrics = Exposition(health)
    first = await metrics.text()
    health.totals.published = 7
    now_ns += FRESH_NS - 1
    assert await metrics.text() is first
    now_ns += 1
    assert b"lanecast_published_total 7.0" in await metrics.text()


def test_counters_and_gauges_are_those_of_health(health: Health) -> None:
    health.totals.published = 7
    health.totals.bytes = 4_096
    health.totals.dropped["slow"] = 3
    health.totals.closed["3008"] = 2
    health.totals.refused["bad path"] = 1
    health.clients = 5
    health.encodings["zstd"].clients = 2
    health.encodings["zstd"].note_item(2, 300, 50)
    health.encodings["plain"].clients = 1
    health.lanes[Lane.HIGH].add(4, 400)
    samples = scrape(health)
    assert samples["lanecast_published_total", ()] == 7
    assert samples["lanecast_sent_bytes_total", ()] == 4_096
    assert samples["lanecast_dropped_total", (("reason", "slow"),)] == 3
    assert samples["lanecast_closed_total", (("code", "3008"),)] == 2
    assert samples["lanecast_refused_total", (("cause", "bad path"),)] == 1
    assert samples["lanecast_clients", ()] == 5
    assert samples["lanecast_clients_encoding", (("encoding", "zstd"),)] == 2
    assert samples["lanecast_payload_bytes_total", (("encoding", "zstd"),)] == 600
    assert samples["lanecast_frame_bytes_total", (("encoding", "zstd"),)] == 100
    assert samples["lanecast_compression_ratio", (("encoding", "zstd"),)] == 6
    assert ("lanecast_compression_ratio", (("encoding", "plain"),)) not in samples
    assert samples["lanecast_lane_depth", (("lane", "high"),)] == 4
    assert samples["lanecast_lane_bytes", (("lane", "high"),)] == 400


def test_each_active_alert_is_a_gauge(health: Health) -> None:
    health.troubles["keys"] = "api.key is open to others"
    for _ in range(20):
        health.sample()
    assert scrape(health)["lanecast_alert_active", (("name", "keys"), ("severity", "critical"))] == 1


def test_latency_is_a_histogram_in_seconds(health: Health) -> None:
    for latency_ns in (3_000_000, 8_000_000, 40_000_000):
        health.kinds["order_fill"].record(Stages(0, 0, 0, latency_ns))
    health.sample()
    samples = scrape(health)
    name, kind = "lanecast_latency_seconds", ("kind", "order_fill")
    assert samples[f"{name}_bucket", (kind, ("le", "0.0025"))] == 0
    assert samples[f"{name}_bucket", (kind, ("le", "0.01"))] == 2
    assert samples[f"{name}_bucket", (kind, ("le", "+Inf"))] == 3
    assert samples[f"{name}_count", (kind,)] == 3
    assert samples[f"{name}_sum", (kind,)] == pytest.approx(0.051, rel=1 / 64)
    assert samples["lanecast_latency_threshold_seconds", (kind,)] == 0.01
    assert samples["lanecast_late_total", (kind,)] == 1


def test_a_feed_shows_its_state_and_counters_and_no_age_before_it_was_heard(health: Health) -> None:
    feed = health.feeds["binance"] = FeedHealth("binance", "binance", messages=9, gaps=2)
    feed.retrying("refused")
    samples = scrape(health)
    name = ("feed", "binance")
    assert samples["lanecast_feed_state", (name, ("state", "retrying"))] == 1
    assert samples["lanecast_feed_messages_total", (name,)] == 9
    assert samples["lanecast_feed_gaps_total", (name,)] == 2
    assert samples["lanecast_feed_retries_total", (name,)] == 1
    assert ("lanecast_feed_age_seconds", (name,)) not in samples


def test_the_process_is_among_them(health: Health) -> None:
    samples = scrape(health)
    assert samples["process_resident_memory_bytes", ()] > 1_000_000
    assert ("process_cpu_seconds_total", ()) in samples


def test_names_follow_the_conventions(health: Health) -> None:
    for family in text_string_to_metric_families(b"".join(exposition(health)).decode()):
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith(("lanecast_", "process_")), family.name
        assert not family.name.endswith(("_ms", "_milliseconds", "_count", "_sum", "_bucket")), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_it_is_served_as_text() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")


def test_two_servers_in_one_process_do_not_mix(health: Health) -> None:
    other = Health(Settings())
    other.totals.published = 1
    assert scrape(health)["lanecast_published_total", ()] == 0
    assert scrape(other)["lanecast_published_total", ()] == 1
