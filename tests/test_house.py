import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for package in ("monitor", "tui") for path in (ROOT / package).rglob("*.py"))
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


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)
    }


def test_every_requirement_is_pinned_and_from_no_named_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


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
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            found[canonicalize_name(requirement.name)] = Version(metadata.version(requirement.name))
            needed(requirement, found)
    assert len(found) > 40
    assert {name: version for name, version in found.items() if pins().get(name) != version} == {}


def test_every_test_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_ci_calls_make_test_and_nothing_cleverer() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec make test"


def test_wheel_holds_the_page_the_dictionary_and_the_console(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("lanecast-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "monitor/_static/index.html",
        "monitor/_data/lanecast.zdict",
        "monitor/cli.py",
        "tui/__init__.py",
    }
    assert wanted <= names
    assert not any(name.startswith(("tests/", "static/", "benchmarks/")) for name in names)
