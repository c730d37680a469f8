import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from monitor.config import Settings
from tests.audit import read_pins
from tests.process import Process

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for package in ("monitor", "tui") for path in (ROOT / package).rglob("*.py"))
GOODBYE_SECONDS = 10
"""What may come after the drain: goodbyes, feeds, the journal's last commit."""
LONGEST_MODULE_LINES = 420
LONGEST_MODULE_DOCSTRING_LINES = 8
HOLDALLS = {"utils", "helpers", "manager", "base", "common", "misc"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_what_it_decides_in_few_lines(path: Path) -> None:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert path.stem not in HOLDALLS
    assert len(text.splitlines()) <= LONGEST_MODULE_LINES
    if path.name != "__init__.py":
        assert docstring
        assert len(docstring.splitlines()) <= LONGEST_MODULE_DOCSTRING_LINES


def test_every_requirement_is_pinned_and_from_no_named_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["test"] + extras["binary"]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            assert read_pins()[canonicalize_name(requirement.name)] in requirement.specifier


def needed(requirement: Requirement, found: dict[str, Version]) -> None:
    """Collect the installed versions of what a requirement needs here, directly or not."""
    for extra in ("", *requirement.extras):
        for text in metadata.requires(requirement.name) or ():
            inner = Requirement(text)
            name = canonicalize_name(inner.name)
            is_new = name not in found or bool(inner.extras)
            if is_new and (inner.marker is None or inner.marker.evaluate({"extra": extra})):
                found[name] = Version(metadata.version(name))
                needed(inner, found)


def test_everything_that_runs_here_is_of_the_pinned_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, Version] = {}
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["test"] + extras["binary"]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            found[canonicalize_name(requirement.name)] = Version(metadata.version(requirement.name))
            needed(requirement, found)
    assert len(found) > 40
    assert {name: version for name, version in found.items() if read_pins().get(name) != version} == {}


def test_every_test_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_ci_calls_make_test_and_nothing_cleverer() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec make test"


def imports(path: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_dependencies_cover_what_is_imported_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    foreign = set().union(*map(imports, MODULES)) - sys.stdlib_module_names - {"monitor", "tui"}
    providers = metadata.packages_distributions()
    imported = {canonicalize_name(providers[name][0]) for name in foreign}
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    # What a library has in its own signatures, as Textual has Rich, comes with it.
    behind = {Requirement(text).name for name in declared for text in metadata.requires(name) or ()}
    assert imported - declared <= set(map(canonicalize_name, behind))
    assert declared <= imported


def instructions(name: str) -> list[str]:
    """The lines of a file in packaging/, each whole."""
    return (ROOT / "packaging" / name).read_text().replace("\\\n", " ").splitlines()


def test_what_the_dockerfile_copies_exists_and_is_let_through() -> None:
    copied = [line.split()[1:-1] for line in instructions("Dockerfile") if line.startswith("COPY ")]
    sources = {name for names in copied for name in names if not name.startswith(("--", "/"))}
    assert "monitor" in sources
    assert all((ROOT / name).exists() for name in sources)
    assert {f"!{name}" for name in sources} <= set(instructions("Dockerfile.dockerignore"))


def test_the_containers_health_check_asks_whether_the_server_is_ready(process: Process) -> None:
    lines = "\n".join(instructions("Dockerfile"))
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", lines, flags=re.MULTILINE)
    _, *arguments = json.loads(check)
    port = str(httpx.URL(process.address).port)

    def status(of: str) -> int:
        given = [text.replace("8000", port).replace("/readyz", of) for text in arguments]
        surroundings = {"http_proxy": "http://0.0.0.0:1"}
        return subprocess.run([sys.executable, *given], env=surroundings, check=False).returncode

    assert (status("/readyz"), status("/nothing")) == (0, 1)


def test_the_unit_waits_for_the_drain_and_has_a_descriptor_for_each_connection() -> None:
    unit = dict(line.split("=", 1) for line in instructions("lanecast.service") if "=" in line)
    settings = Settings()
    assert int(unit["TimeoutStopSec"]) > settings.drain_seconds + GOODBYE_SECONDS
    assert int(unit["LimitNOFILE"]) > settings.limits.connections
    assert unit["KillMode"] == "mixed"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "lanecast.service"
    written = (ROOT / "packaging" / unit.name).read_text()
    unit.write_text(written.replace("/usr/local/bin/lanecast", sys.executable))
    for question in (["verify"], ["security", "--offline=yes", "--threshold=20"]):
        asked = subprocess.run(
            ["systemd-analyze", *question, str(unit)], capture_output=True, text=True, check=False
        )
        assert (asked.returncode, asked.stderr) == (0, "")
