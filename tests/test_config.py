import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from monitor.config import (
    CADENCES,
    DEFAULT_KINDS,
    DEFAULT_NAMESPACES,
    Access,
    Cadence,
    Delivery,
    Lane,
    Namespaces,
    Preset,
    Settings,
    load_settings,
)
from monitor.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "docs" / "lanecast.example.toml"


@pytest.fixture(autouse=True)
def _clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LANECAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(toml: str = "", **overrides: Any) -> Settings:
    Path("given.toml").write_text(toml, encoding="utf-8")
    return load_settings(Path("given.toml"), overrides)


def complaint(toml: str = "", overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        load(toml, **(overrides or {}))
    return str(error.value)


def test_command_line_goes_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    file = "port = 1\ntick_ms = 1\n[limits]\nconnections = 1"
    monkeypatch.setenv("LANECAST_PORT", "2")
    monkeypatch.setenv("LANECAST_TICK_MS", "2")
    settings = load(file, port="3")
    assert (settings.port, settings.tick_ms, settings.limits.connections) == (3, 2, 1)
    assert settings.host == "127.0.0.1"


def test_sources_set_single_keys_of_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANECAST_LIMITS__PING_SECONDS", "20")
    limits = load("[limits]\npong_seconds = 5", **{"limits.connections": 7}).limits
    assert (limits.pong_seconds, limits.ping_seconds, limits.connections) == (5, 20, 7)


def test_file_in_the_working_directory_is_read_unless_one_is_named() -> None:
    Path("lanecast.toml").write_text("port = 1")
    assert load_settings(None, {}).port == 1
    assert load("port = 2").port == 2


def test_without_any_source_the_defaults_hold() -> None:
    assert load_settings(None, {}).port == 8_000


def test_lists_are_written_with_commas_outside_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANECAST_FEEDS__BINANCE__SYMBOLS", "btcusdt, ethusdt")
    binance = load().feeds.binance
    assert binance is not None
    assert binance.symbols == ["BTCUSDT", "ETHUSDT"]


def test_environment_may_give_a_table_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANECAST_NAMESPACES", '{"market:hot": {"interval_ms": 1000}}')
    assert load().namespaces["market:hot"].interval_ms == 1_000


def test_home_is_expanded() -> None:
    assert load('data_dir = "~/x"').data_dir == Path.home() / "x"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("port = 70000", "port is 70000 in given.toml: must be at most 65535"),
        ("port = 'abc'", "port is 'abc' in given.toml: must be a whole number"),
        ("port = 1.5", "port is 1.5 in given.toml: must be a whole number"),
        ("anonymous = 'x'", "anonymous is 'x' in given.toml: must be true or false"),
        ("host = ''", "host is '' in given.toml: must have at least 1 character"),
        ("limits = 7", "limits is 7 in given.toml: must be a table"),
        (
            "preset = 'fast'",
            "preset is 'fast' in given.toml: must be 'realtime', 'balanced', 'throughput' or 'saver'",
        ),
        (
            "[feeds.binance_account]\naccount = 'paper'\napi_key = 'k'\napi_secret = 's'",
            "feeds.binance_account.account is 'paper' in given.toml: must be another name: this is the"
            " simulator's, whose orders everybody may read",
        ),
        (
            "[feeds.binance_account]\naccount = 'josé'\napi_key = 'k'\napi_secret = 's'",
            "feeds.binance_account.account is 'josé' in given.toml: must be like ann, in printable ASCII",
        ),
        ("presett = 'saver'", "presett in given.toml is not a setting; did you mean preset?"),
        (
            "[limits]\nmessage_byte = 1",
            "limits.message_byte in given.toml is not a setting; did you mean limits.message_bytes?",
        ),
        ("connection = 5", "connection in given.toml is not a setting; did you mean limits.connections?"),
        (
            "cert_file = 'a.pem'",
            "cert_file in given.toml is not a setting; did you mean tls.certificate_file?",
        ),
        (
            "[namespaces.chat]\nthreshold_ms = 5",
            "namespaces.chat.threshold_ms in given.toml is not a setting; "
            "did you mean kinds.NAME.threshold_ms?",
        ),
        ("port = true", "port is true in given.toml: must be a whole number"),
        ("tick_ms = false", "tick_ms is false in given.toml: must be a whole number"),
        ("[limits]\nping_seconds = true", "limits.ping_seconds is true in given.toml: must be a number"),
        (
            "trusted_proxies = ['10.0.0.1/8']",
            "trusted_proxies.0 is '10.0.0.1/8' in given.toml: must be an address or a network, as 10.0.0.0/8",
        ),
        (
            "[feeds.nasdaq]",
            "feeds.nasdaq in given.toml is not a setting; allowed are binance, binance_account, kalshi",
        ),
        (
            "[namespaces.book]\nlan = 'high'",
            "namespaces.book.lan in given.toml is not a setting; did you mean namespaces.book.lane?",
        ),
        (
            "[namespaces.book]\nlane = 'hgh'",
            "namespaces.book.lane is 'hgh' in given.toml: must be one of immediate, high, normal, low",
        ),
        (
            "[namespaces.book]\nkind = 'trad'",
            "namespaces.book.kind in given.toml: 'trad' is not a kind; did you mean trade?",
        ),
        (
            "[namespaces.'a.b']",
            "namespaces.a.b is 'a.b' in given.toml: must be what stands before a channel's colon, "
            "or the channel up to its first dot",
        ),
        (
            "[namespaces.'$desk']",
            "namespaces.$desk is '$desk' in given.toml: must be printable ASCII, "
            "and without the $ of private channels: no other is looked for",
        ),
        ("[feeds.binance]", "feeds.binance.symbols is missing in given.toml"),
        ("[feeds.binance]\nsymbols = []", "feeds.binance.symbols in given.toml: must have at least 1 item"),
        (
            "[feeds.binance]\nsymbols = ['BTCUSDT', 'BTC/USDT']",
            "feeds.binance.symbols.1 is 'BTC/USDT' in given.toml: must be like BTCUSDT",
        ),
        (
            "[feeds.binance]\nsymbols = ['BTCUSDT']\nrest_url = 'ws://x'",
            "feeds.binance.rest_url is 'ws://x' in given.toml: must be a URL that starts with http:// or https://",
        ),
        (
            "[namespaces.bag]\ndelivery = 'map'",
            'namespaces.bag in given.toml: delivery "map" needs history_size, so that clients can come back '
            "to where they were, or key_seconds, so that keys which nobody writes go",
        ),
        (
            "[namespaces.ticker]\ntags_filter = true",
            "namespaces.ticker in given.toml: tags_filter is for delivery stream or map: "
            "a latest or state publication stands for others",
        ),
        (
            "[namespaces.book]\nlists = 'clients'",
            'namespaces.book in given.toml: lists needs delivery "map", without publish or listed_in',
        ),
        (
            "[namespaces.botstate]\nlists = 'users'",
            'namespaces.botstate in given.toml: lists "users" needs key_seconds: '
            "a user goes by that time, not with a client",
        ),
        (
            "[namespaces.book]\nlisted_in = ['botstate']",
            "namespaces.book.listed_in in given.toml: "
            "'botstate' is no namespace with lists, whose name has no colon",
        ),
        (
            "[namespaces.orders]\ndelivery = 'map'\njournal = false",
            "namespaces.orders.delivery in given.toml: "
            "'map' is not how these channels are filled; must be stream",
        ),
        (
            "[namespaces.'book:sim']\ndelivery = 'latest'",
            "namespaces.book:sim.delivery in given.toml: "
            "'latest' is not how these channels are filled; must be state",
        ),
        (
            "api_key = 'one'\nport = 1\napi_key = 'two'",
            "given.toml is not TOML: line 3 sets api_key a second time",
        ),
        (
            "[limits]\npong_seconds = 30",
            "limits in given.toml: pong_seconds (30) must be less than ping_seconds (25)",
        ),
    ],
)
def test_wrong_setting_is_told_in_one_sentence(toml: str, sentence: str) -> None:
    assert complaint(toml) == sentence


def test_each_wrong_setting_gets_its_line() -> None:
    lines = complaint("port = -1\ntick_ms = 0").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["port", "tick_ms"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LANECAST_PORT", "x", "port is 'x' in LANECAST_PORT: must be a whole number"),
        (
            "LANECAST_LIMITS__CONNECTIONS",
            "0",
            "limits.connections is '0' in LANECAST_LIMITS__CONNECTIONS: must be at least 1",
        ),
        (
            "LANECAST_PROT",
            "1",
            "LANECAST_PROT in the environment is not a setting; did you mean LANECAST_PORT?",
        ),
        (
            "LANECAST_RATE",
            "200",
            "LANECAST_RATE in the environment is not a setting; did you mean LANECAST_SIMULATOR__RATE?",
        ),
        ("LANECAST_FEEDS__BINANCE", "{", "feeds.binance is '{' in LANECAST_FEEDS__BINANCE: must be a table"),
    ],
)
def test_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    assert complaint() == sentence


def test_variable_that_is_not_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANECAST_LIMITS", "{connections")
    assert complaint().startswith("the environment can't be read: ")


def test_variables_of_commands_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANECAST_OPERATOR_TOKEN", "x")
    assert load().port == 8_000


def test_wrong_flag_is_placed_on_the_command_line() -> None:
    assert complaint(overrides={"port": "-1"}) == "port is '-1' on the command line: must be at least 0"


def test_key_without_its_table_is_told_where_it_belongs() -> None:
    sentence = "rate on the command line is not a setting; did you mean simulator.rate?"
    assert complaint(overrides={"rate": "200"}) == sentence


def test_secret_is_never_repeated() -> None:
    toml = "api_key = 123456\napi_keyy = 'sesame'\n[feeds.binance_account]\napi_secret = ['sesame']"
    assert "123456" not in complaint(toml)
    assert "sesame" not in complaint(toml)
    assert "sesame" not in repr(load("api_key = 'sesame'"))


@pytest.mark.parametrize(
    "url", ["", "stream.binance.com", "http://x", "ws://", "ws:/x", "ws://[", "ws://a..b", "ws://x:99999"]
)
def test_url_that_can_not_be_dialled_is_refused(url: str) -> None:
    assert "must be a URL that starts with ws:// or wss://" in complaint(
        f"[feeds.binance]\nsymbols = ['BTCUSDT']\nurl = '{url}'"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"port =", "bad.toml is not TOML: "), (b"host = '\xff'", "bad.toml is not TOML: byte 8 is not UTF-8")],
)
def test_file_that_is_no_toml_is_refused(content: bytes, sentence: str) -> None:
    Path("bad.toml").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_settings(Path("bad.toml"), {})
    assert str(error.value).startswith(sentence)


def test_missing_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^absent\.toml can't be read: No such file or directory$"):
        load_settings(Path("absent.toml"), {})


def test_one_key_of_a_default_namespace_may_be_set_alone() -> None:
    book = load("[namespaces.book]\nlane = 'high'").namespaces["book"]
    assert (book.lane, book.delivery, book.interval_ms) == (Lane.HIGH, Delivery.STATE, 100)


def test_new_namespace_and_kind_stand_beside_the_defaults() -> None:
    settings = load("[namespaces.chat]\nkind = 'chat'\naccess = 'token'\n[kinds.chat]\nthreshold_ms = 5")
    assert settings.namespaces["chat"].access is Access.TOKEN
    assert settings.kinds["chat"].threshold_ms == 5
    assert settings.namespaces.keys() > DEFAULT_NAMESPACES.keys()
    assert settings.kinds.keys() > DEFAULT_KINDS.keys()


def test_every_default_namespace_names_a_kind() -> None:
    assert {namespace.kind for namespace in DEFAULT_NAMESPACES.values()} <= DEFAULT_KINDS.keys()


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("book:sim.BTCUSDT", "book"),
        ("trades:all", "trades"),
        ("market:hot", "market:hot"),
        ("market:analytics.hour", "market:analytics"),
        ("market:other", None),
        ("nothing:here", None),
        ("orders", None),
        ("orders.x:y", None),
        ("", None),
    ],
)
def test_channel_belongs_to_the_finest_namespace(channel: str, name: str | None) -> None:
    expected = DEFAULT_NAMESPACES[name] if name else None
    assert Namespaces(DEFAULT_NAMESPACES).find(channel) is expected


def test_channel_without_a_colon_belongs_to_the_nameless_namespace() -> None:
    namespaces = load("[namespaces.'']\nlane = 'low'").namespaces
    assert Namespaces(namespaces).find("orders") is namespaces[""]


def test_preset_sets_the_cadence_and_single_settings_override_it() -> None:
    assert load("preset = 'realtime'").cadence == CADENCES[Preset.REALTIME]
    assert load().cadence == Cadence(20, 500, 0, 5)
    changed = load("preset = 'throughput'\ntick_ms = 30\ncompression_level = 0").cadence
    assert changed == Cadence(30, 1_000, 2_000, 0)


def test_saver_promises_trades_within_400_ms_unless_told_otherwise() -> None:
    assert load("preset = 'saver'").kinds["trade"].threshold_ms == 400
    assert load().kinds["trade"].threshold_ms == 100
    assert load("preset = 'saver'\n[kinds.trade]\nthreshold_ms = 50").kinds["trade"].threshold_ms == 50


def test_example_file_is_valid_and_shows_the_defaults() -> None:
    settings = load_settings(EXAMPLE, {})
    defaults = Settings()
    for name in tomllib.loads(EXAMPLE.read_text()).keys() - {"namespaces"}:
        assert getattr(settings, name) == getattr(defaults, name), name
    assert settings.namespaces["book"] == defaults.namespaces["book"]


def untold(section: BaseModel, told: dict[str, Any], path: str = "") -> set[str]:
    """The settings that a file does not tell, at any depth; the tables of one name tell them together."""
    missing = {f"{path}{name}" for name in type(section).model_fields.keys() - told.keys()}
    for name in told:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            missing |= untold(value, told[name], f"{path}{name}.")
        elif isinstance(value, dict):
            every = {key: inner for table in told[name].values() for key, inner in table.items()}
            missing |= untold(next(iter(value.values())), every, f"{path}{name}.*.")
    return missing


def test_example_file_tells_every_setting() -> None:
    uncommented = re.sub(r"^# (?=\[|\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert untold(load(uncommented), tomllib.loads(uncommented)) == set()


@pytest.mark.parametrize(
    ("alerts", "sentence"),
    [
        ('webhook_url = "https://example.com/a"', "webhook_url and webhook_secret belong together"),
        (
            'webhook_url = "https://example.com/a"\nwebhook_secret = "too short"',
            "webhook_secret must have at least 16 characters",
        ),
    ],
)
def test_a_webhook_needs_a_secret_that_can_not_be_guessed(alerts: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"[alerts]\n{alerts}")
    assert sentence in str(error.value)
    assert "too short" not in str(error.value)
