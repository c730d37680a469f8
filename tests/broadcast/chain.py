"""A subscriber who asked for deltas, as an SDK is one: keeps the last text, and decodes by it."""

from dataclasses import dataclass, field
from typing import Any

from centrifuge.fossil import apply_delta  # type: ignore[import-untyped]


@dataclass
class ChainReader:
    text: bytes | None = None
    texts: list[bytes] = field(default_factory=list)
    deltas: int = 0

    def read(self, publication: dict[str, Any]) -> bytes:
        """The payload of a publication object. Fails on a change of what was never got."""
        data: bytes = publication["data"].encode()
        if publication.get("delta"):
            assert self.text is not None
            data = bytes(apply_delta(self.text, data))
            self.deltas += 1
        self.text = data
        self.texts.append(data)
        return data
