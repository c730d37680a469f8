"""How much of everything the server takes: beyond a bound somebody is told, and nobody else is hurt."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from monitor.config.namespaces import Section


class Limits(Section):
    connections: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """An IPv6 address is its /64. Not of this machine itself, unless it is set."""
    connections_per_user: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Of one `sub`; those without a token and operators are not counted."""
    handshakes_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Of one address, over a sliding second. Not of this machine itself, unless it is set."""
    answer_bytes_per_second: Annotated[int, Field(ge=1, le=10_000_000_000)] = 8_388_608
    """Of one address, all its clients together: of what is read and said to answer connects, subscribes,
    histories and presences; beyond it error 111. Not of this machine itself, unless it is set."""
    publications_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """To one channel, by clients and backends together; beyond it error 111. Feeds are not counted."""
    channels: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Of each sort: those in which nobody has published, those in which only clients have, all others."""
    channels_per_client: Annotated[int, Field(ge=1, le=10_000)] = 128
    commands_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Inbound messages of one client, over a sliding window of one second."""
    message_bytes: Annotated[int, Field(ge=1_024, le=16_777_216)] = 65_536
    """One inbound WebSocket message, inflated."""
    body_bytes: Annotated[int, Field(ge=1_024, le=67_108_864)] = 1_048_576
    """One HTTP request body."""
    outbox_bytes: Annotated[int, Field(ge=65_536, le=268_435_456)] = 1_048_576
    gather_bytes: Annotated[int, Field(ge=65_536, le=268_435_456)] = 4_194_304
    """What one channel may hold while its fan-out is under way; beyond it a publisher gets error 111."""
    frame_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 16_384
    """Gathered frames are at most this long; one larger document goes alone."""
    handshake_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    """From accepting a socket to the end of a request's head."""
    connect_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    """From the upgrade to `connect`."""
    body_seconds: Annotated[float, Field(gt=0, le=600)] = 10
    """For a request's body."""
    ping_seconds: Annotated[float, Field(gt=0, le=3_600)] = 25
    pong_seconds: Annotated[float, Field(gt=0, le=600)] = 8
    write_seconds: Annotated[float, Field(gt=0, le=600)] = 15
    """A client whose socket takes nothing for this long is closed."""

    @model_validator(mode="after")
    def _pong_before_ping(self) -> Self:
        if self.pong_seconds >= self.ping_seconds:
            raise ValueError(
                f"pong_seconds ({self.pong_seconds:g}) must be less than ping_seconds ({self.ping_seconds:g})"
            )
        return self
