"""Ask OSV, which gathers the advisories of PyPI and npm, whether a package that is shipped or pinned is weak.

python -m tests.audit ends with 0 if none has, with 1 if one has, each named with the version that
mends it, and with 2 if nobody could be asked: nothing was audited then, and that is no good news.
One question for all of them and a few seconds at most, as every `make test` asks it, with a network or not.
"""

import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import trio
from packaging.utils import canonicalize_name
from packaging.version import Version

SERVICE = "https://api.osv.dev"
ROOT = Path(__file__).parent.parent
PINS = ROOT / "constraints.txt"
VENDORED = ROOT / "static" / "vendor" / "manifest.json"
PATIENCE_SECONDS = 8
"""For the one question, and for all that is asked about what was found."""


class Outcome(IntEnum):
    """What the program ends with."""

    CLEAN = 0
    WEAK = 1
    NOT_AUDITED = 2


class Package(NamedTuple):
    """One that runs here or in the page."""

    name: str
    version: Version
    ecosystem: str = "PyPI"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class _Named(msgspec.Struct):
    id: str


class _Result(msgspec.Struct):
    vulns: list[_Named] = []
    next_page_token: str = ""


class _Results(msgspec.Struct):
    results: list[_Result]


class _AffectedPackage(msgspec.Struct):
    name: str


class _Range(msgspec.Struct):
    type: str
    events: list[dict[str, str]]


class _Affected(msgspec.Struct):
    package: _AffectedPackage
    ranges: list[_Range] = []


class _Vendored(msgspec.Struct):
    name: str
    version: str


class _Manifest(msgspec.Struct):
    packages: list[_Vendored]


class _Advisory(msgspec.Struct):
    """As OSV has it; empty where it could not be had."""

    summary: str = "no summary"
    withdrawn: str = ""
    affected: list[_Affected] = []

    def mended_in(self, package: Package) -> str:
        """The next version of a package that is without the weakness."""
        events = [
            event
            for affected in self.affected
            if canonicalize_name(affected.package.name) == package.name
            for span in affected.ranges
            if span.type in ("ECOSYSTEM", "SEMVER")
            for event in span.events
        ]
        fixed = sorted(Version(event["fixed"]) for event in events if "fixed" in event)
        return next((str(each) for each in fixed if each > package.version), "no version that is known here")


_FAILURES = (httpx.HTTPError, msgspec.MsgspecError, ValueError, trio.TooSlowError)


def read_pins(path: Path = PINS) -> dict[str, Version]:
    """The pinned version of each package, by its canonical name."""
    lines = (line.split("==") for line in path.read_text().splitlines())
    return {canonicalize_name(name): Version(version) for name, version in lines}


def read_vendored(path: Path = VENDORED) -> list[Package]:
    """The packages whose files the page is served with."""
    manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    return [Package(each.name, Version(each.version), "npm") for each in manifest.packages]


async def audit(packages: Sequence[Package], service: str = SERVICE) -> Outcome:
    """Print what is known against the packages."""
    async with httpx.AsyncClient(base_url=service, timeout=None) as client:
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                found = await _look_up(client, packages)
        except _FAILURES as error:
            trouble = str(error) or type(error).__name__
            print(f"NOTHING WAS AUDITED: {service} can't be asked about {len(packages)} packages: {trouble}")
            return Outcome.NOT_AUDITED
        advisories: dict[str, _Advisory] = {}
        with trio.move_on_after(PATIENCE_SECONDS):
            for _, name in found:
                advisories[name] = await _read(client, name)
    weak = 0
    for package, name in found:
        advisory = advisories.get(name, _Advisory())
        if not advisory.withdrawn:
            weak += 1
            mended = advisory.mended_in(package)
            print(f"{package} is weak: {name} ({advisory.summary}); mended in {mended}")
    print(f"{len(packages)} packages, of which {service} knows {weak} weaknesses")
    return Outcome.WEAK if weak else Outcome.CLEAN


async def _look_up(client: httpx.AsyncClient, packages: Sequence[Package]) -> list[tuple[Package, str]]:
    """Packages, and the names of advisories about their versions. Raises any of `_FAILURES`."""
    queries = [
        {"package": {"name": each.name, "ecosystem": each.ecosystem}, "version": str(each.version)}
        for each in packages
    ]
    answer = (await client.post("/v1/querybatch", json={"queries": queries})).raise_for_status()
    results = msgspec.json.decode(answer.content, type=_Results).results
    if any(result.next_page_token for result in results):
        raise ValueError("its answer has more than one page")
    return [
        (package, each.id) for package, result in zip(packages, results, strict=True) for each in result.vulns
    ]


async def _read(client: httpx.AsyncClient, name: str) -> _Advisory:
    """An empty one if it can't be had: that there is one is known all the same."""
    try:
        answer = (await client.get(f"/v1/vulns/{name}")).raise_for_status()
        return msgspec.json.decode(answer.content, type=_Advisory)
    except _FAILURES:
        return _Advisory()


if __name__ == "__main__":
    pinned = [Package(*pin) for pin in read_pins().items()]
    sys.exit(trio.run(audit, [*pinned, *read_vendored()]))
