"""Every setting, its default, its bounds, and the one sentence said when it is wrong.

Flags, environment (`LANECAST_…`, `__` between levels) and `lanecast.toml` set the same keys;
the earlier of these wins.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from monitor.address import is_dialable, local_url
from monitor.config.limits import Limits
from monitor.config.namespaces import (
    DEFAULT_KINDS,
    DEFAULT_NAMESPACES,
    Kind,
    Namespace,
    NamespaceName,
    Section,
    delivery_of_ours,
    refuse_truth,
)
from monitor.config.sources import merge, place, read_environment, read_file, read_overrides
from monitor.config.validation import describe, suggestion
from monitor.errors import ConfigError

DEMO_ACCOUNT = "paper"
"""The simulator's: its orders and bots are demonstration data, readable without a token."""

WEBHOOK_SECRET_LENGTH = 16
"""Characters, at least; what is shorter can be found by trying."""

Item = TypeVar("Item")


def _texts(value: object) -> object:
    """Let the environment and `--set` write a list as `a,b`."""
    return [text.strip() for text in value.split(",") if text.strip()] if isinstance(value, str) else value


def _require_url(schemes: tuple[str, ...], url: str) -> str:
    """The URL without a trailing slash, if it can be dialled."""
    if not is_dialable(url, schemes):
        raise ValueError(f"must be a URL that starts with {' or '.join(f'{name}://' for name in schemes)}")
    return url.rstrip("/")


def _require_likeness(pattern: str, example: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"must be like {example}")
    return text


def _require_own(account: str) -> str:
    if account == DEMO_ACCOUNT:
        raise ValueError("must be another name: this is the simulator's, whose orders everybody may read")
    return account


WebSocketUrl = Annotated[str, AfterValidator(partial(_require_url, ("ws", "wss")))]
HttpUrl = Annotated[str, AfterValidator(partial(_require_url, ("http", "https")))]
Symbol = Annotated[
    str,
    AfterValidator(partial(_require_likeness, r"[A-Za-z0-9]{2,30}", "BTCUSDT")),
    AfterValidator(str.upper),
]
MarketTicker = Annotated[
    str,
    AfterValidator(partial(_require_likeness, r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "FED-23DEC-T3.00")),
]
HostName = Annotated[
    str, AfterValidator(partial(_require_likeness, r"[A-Za-z0-9._-]+", "lanecast.example.com"))
]
Origin = Annotated[
    str,
    AfterValidator(
        partial(_require_likeness, r"\*|[a-z][a-z0-9+.-]*://[^/?#@\s]+", "https://example.com, or *")
    ),
]
Account = Annotated[
    str,
    AfterValidator(partial(_require_likeness, r"[ -~]{1,100}", "ann, in printable ASCII")),
    AfterValidator(_require_own),
]
CommaList = Annotated[list[Item], NoDecode, BeforeValidator(_texts)]
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]


class Preset(StrEnum):
    REALTIME = "realtime"
    BALANCED = "balanced"
    THROUGHPUT = "throughput"
    SAVER = "saver"


@dataclass(frozen=True, slots=True)
class Cadence:
    """How publications are gathered into frames, and which frames are compressed."""

    tick_ms: int
    tick_messages: int
    compression_from_bytes: int = 0
    """0 compresses whenever that makes the frame shorter."""
    compression_level: int = 5


CADENCES: dict[Preset, Cadence] = {
    Preset.REALTIME: Cadence(tick_ms=10, tick_messages=100, compression_from_bytes=500),
    Preset.BALANCED: Cadence(tick_ms=20, tick_messages=500),
    Preset.THROUGHPUT: Cadence(50, 1_000, compression_from_bytes=2_000, compression_level=1),
    Preset.SAVER: Cadence(tick_ms=250, tick_messages=1_000),
}

_SAVER_KINDS = {"trade": Kind(threshold_ms=400)}
"""A trade that is gathered for 250 ms can't keep a promise of 100."""


class TlsSettings(Section):
    """Both are PEM; read again when they change."""

    certificate_file: HomePath
    """The server's certificate, and behind it those that lead to a root."""
    key_file: HomePath


class JournalSettings(Section):
    """What journaled namespaces survive in: `journal.db` in the data directory."""

    days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """What is older is deleted."""
    bytes: Annotated[int, Field(ge=1_048_576, le=1_099_511_627_776)] = 1_073_741_824
    """Of the file; beyond it the oldest is deleted."""
    synchronous: Literal["normal", "full"] = "normal"
    """normal survives the process at any moment, full a power cut too: each commit waits for the disk."""
    queue_bytes: Annotated[int, Field(ge=65_536, le=1_073_741_824)] = 16_777_216
    """What may wait for its commit; beyond it a publisher gets error 111."""


class AlertsSettings(Section):
    webhook_url: HttpUrl | None = None
    """Where alerts are posted when they are raised, worsen and clear; None posts none."""
    webhook_secret: SecretStr | None = None
    """Signs what is posted (HMAC-SHA256), so that the receiver knows whose it is."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("webhook_url and webhook_secret belong together: set both or neither")
        if self.webhook_secret and len(self.webhook_secret) < WEBHOOK_SECRET_LENGTH:
            raise ValueError(f"webhook_secret must have at least {WEBHOOK_SECRET_LENGTH} characters")
        return self


class SimulatorSettings(Section):
    enabled: bool | None = None
    """None: on unless a venue is configured."""
    rate: Annotated[float, Field(gt=0, le=100_000)] = 20
    """Trades per second, over all its markets."""
    seed: int = 1


class BinanceSettings(Section):
    symbols: Annotated[CommaList[Symbol], Field(min_length=1, max_length=200)]
    url: WebSocketUrl = "wss://stream.binance.com:9443"
    rest_url: HttpUrl = "https://api.binance.com"


class BinanceAccountSettings(Section):
    account: Account
    """Whose `orders:` channel the events go to."""
    api_key: SecretStr
    api_secret: SecretStr
    symbols: CommaList[Symbol] = Field(default_factory=list)
    """Whose fills are looked up after a gap, besides those that were heard of."""
    url: WebSocketUrl = "wss://ws-api.binance.com:443"
    rest_url: HttpUrl = "https://api.binance.com"


class KalshiSettings(Section):
    markets: Annotated[CommaList[MarketTicker], Field(min_length=1, max_length=10_000)]
    key_id: str
    private_key_file: HomePath
    """RSA key in PEM form."""
    account: Account | None = None
    """Whose `orders:` channel own fills go to; None leaves the fill channel alone."""
    url: WebSocketUrl = "wss://external-api-ws.kalshi.com"
    rest_url: HttpUrl = "https://external-api.kalshi.com"
    """Where own fills are looked up after a gap."""


class FeedsSettings(Section):
    binance: BinanceSettings | None = None
    binance_account: BinanceAccountSettings | None = None
    kalshi: KalshiSettings | None = None


class Settings(BaseSettings):
    """All of it; build one with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="LANECAST_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_000
    """0 takes any free port."""
    hosts: CommaList[HostName] = []
    """Names of this server besides addresses, localhost and `host`; requests for any other are refused."""
    origins: CommaList[Origin] = []
    """Whose pages may connect besides this server's own; `*` is everybody's."""
    trusted_proxies: CommaList[IPvAnyNetwork] = []
    """Addresses and networks whose X-Forwarded-For or Forwarded is believed."""
    tls: TlsSettings | None = None
    """None speaks plain HTTP."""
    data_dir: HomePath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("lanecast", appauthor=False))
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_key: SecretStr | None = None
    operator_key: SecretStr | None = None
    token_key: SecretStr | None = None
    key_overlap_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 3_600
    """How long the old key is still taken after `lanecast keys rotate`."""
    jwks_file: HomePath | None = None
    """Public keys that verify tokens signed by somebody else (RS256, ES256 and their longer kin)."""
    token_audience: Annotated[str, Field(min_length=1)] | None = None
    """What a client's token must have as `aud`, or in it; None does not look."""
    token_issuer: Annotated[str, Field(min_length=1)] | None = None
    """What a client's token must have as `iss`; None does not look."""
    drain_seconds: Annotated[float, Field(ge=0, le=3_600)] = 5
    """On SIGTERM the clients are sent away one by one over so long, each with what is queued for it."""
    anonymous: bool = True
    """Clients may connect without a token."""
    preset: Preset = Preset.BALANCED
    tick_ms: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Overrides the preset's."""
    tick_messages: Annotated[int, Field(ge=1, le=100_000)] | None = None
    compression_from_bytes: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    compression_level: Annotated[int, Field(ge=0, le=9)] | None = None
    """0 switches permessage-deflate off."""
    tuning: bool = False
    """Whether ticks and compression move by themselves when a latency or the bytes come near their limit."""
    tuning_bytes_per_second: Annotated[int, Field(ge=0, le=100_000_000_000)] = 0
    """What all clients together should be sent at most; only tuning heeds it, 0 is no matter."""
    zstd: bool = True
    """Whether the zstd subprotocol is spoken to clients that ask for it."""
    zstd_dictionary: HomePath | None = None
    """What `lanecast dictionary train` wrote; None is the one that is shipped."""
    namespaces: dict[NamespaceName, Namespace] = {}
    """Merged over the defaults, namespace by namespace and key by key."""
    kinds: dict[str, Kind] = {}
    """Merged over the defaults, kind by kind and key by key."""
    limits: Limits = Limits()
    journal: JournalSettings = JournalSettings()
    alerts: AlertsSettings = AlertsSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    feeds: FeedsSettings = FeedsSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else: `load_settings` reads the sources and can name them."""
        return (init_settings,)

    @property
    def scheme(self) -> str:
        """Of the server's addresses."""
        return "https" if self.tls else "http"

    @property
    def address(self) -> str:
        """Where this machine reaches the server."""
        return local_url(self.scheme, self.host, self.port)

    @property
    def journal_file(self) -> Path:
        return self.data_dir / "journal.db"

    @property
    def cadence(self) -> Cadence:
        """The preset's, with what was set singly."""
        preset = CADENCES[self.preset]
        return Cadence(
            tick_ms=_first(self.tick_ms, preset.tick_ms),
            tick_messages=_first(self.tick_messages, preset.tick_messages),
            compression_from_bytes=_first(self.compression_from_bytes, preset.compression_from_bytes),
            compression_level=_first(self.compression_level, preset.compression_level),
        )

    _refuse_truth = field_validator("*", mode="before")(refuse_truth)

    @field_validator("namespaces", mode="before")
    @classmethod
    def _over_default_namespaces(cls, given: object) -> object:
        return _over(DEFAULT_NAMESPACES, given)

    @field_validator("kinds", mode="before")
    @classmethod
    def _over_default_kinds(cls, given: object, info: ValidationInfo) -> object:
        is_saver = info.data.get("preset") is Preset.SAVER
        return _over(DEFAULT_KINDS | _SAVER_KINDS if is_saver else DEFAULT_KINDS, given)

    @model_validator(mode="after")
    def _lists_exist(self) -> Self:
        for name, namespace in self.namespaces.items():
            for roster in namespace.listed_in:
                found = self.namespaces.get(roster)
                if ":" in roster or found is None or not found.lists:
                    raise PydanticCustomError(
                        "unknown_list",
                        "'{roster}' is no namespace with lists, whose name has no colon",
                        {"path": ("namespaces", name, "listed_in"), "roster": roster},
                    )
        return self

    @model_validator(mode="after")
    def _ours_are_delivered_as_they_are_made(self) -> Self:
        for name, namespace in self.namespaces.items():
            must = delivery_of_ours(name)
            if must not in (None, namespace.delivery):
                raise PydanticCustomError(
                    "wrong_delivery",
                    "'{delivery}' is not how these channels are filled; must be {must}",
                    {
                        "path": ("namespaces", name, "delivery"),
                        "delivery": namespace.delivery.value,
                        "must": must.value,
                    },
                )
        return self

    @model_validator(mode="after")
    def _kinds_exist(self) -> Self:
        for name, namespace in self.namespaces.items():
            if namespace.kind not in self.kinds:
                raise PydanticCustomError(
                    "unknown_kind",
                    "'{kind}' is not a kind; {suggestion}",
                    {
                        "path": ("namespaces", name, "kind"),
                        "kind": namespace.kind,
                        "suggestion": suggestion(namespace.kind, list(self.kinds)),
                    },
                )
        return self


def _first(single: int | None, preset: int) -> int:
    return preset if single is None else single


def _over(defaults: Mapping[str, BaseModel], given: object) -> object:
    if not isinstance(given, Mapping):
        return given
    return {**defaults, **{name: _over_one(defaults.get(name), value) for name, value in given.items()}}


def _over_one(default: BaseModel | None, given: object) -> object:
    return default.model_dump() | given if default and isinstance(given, dict) else given


DEFAULT_FILE = Path("lanecast.toml")


def load_settings(config_file: Path | None, overrides: dict[str, Any]) -> Settings:
    """Build the settings from `overrides` (dotted keys), the environment, the file and the defaults.

    Without `config_file`, `lanecast.toml` in the working directory is read if it is there.
    Raises ConfigError with one line for each thing that is wrong.
    """
    if config_file is None and DEFAULT_FILE.exists():
        config_file = DEFAULT_FILE
    sources = [read_overrides(overrides), read_environment(Settings)]
    if config_file is not None:
        sources.append(read_file(config_file))
    try:
        return Settings(**merge(sources))
    except ValidationError as error:
        raise ConfigError(describe(error, Settings, lambda path: place(sources, path))) from None
