"""What others wrote is served as they published it."""

import hashlib
import json
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
PACKAGES = json.loads((VENDOR / "manifest.json").read_text())["packages"]
FILES = {name: digest for package in PACKAGES for name, digest in package["files"].items()}


@pytest.mark.parametrize("name", FILES)
def test_vendored_file_is_as_published(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == FILES[name]


def test_manifest_names_every_vendored_file() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {"manifest.json", *FILES}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_every_vendored_package_has_its_licence_beside_it(package: dict[str, object]) -> None:
    assert package["licence"] == "MIT"
    assert any(name.endswith(".LICENSE") for name in package["files"])  # type: ignore[attr-defined]
