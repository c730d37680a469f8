"""Run the Autobahn testsuite's fuzzing client against the product's WebSocket layer.

python -m tests.autobahn [CASE...] takes patterns, as in '6.*' 12.1.1; without one it runs all.
The suite needs a Python 2.7 and gets its packages below build/autobahn. Exit 0 only if every case
is strictly OK or informational.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.autobahn.echo import run_echo

SUITE = "autobahntestsuite==25.10.1"
HOME = Path("build/autobahn")
REPORT = HOME / "report"
GOOD = {"OK", "INFORMATIONAL"}
RUN = "import site; site.addsitedir({!r}); from autobahntestsuite.wstest import run; run()"


def find_python() -> str:
    """A Python 2.7 that has pip; SystemExit without one."""
    names = [shutil.which(name) for name in ("python2.7", "pypy", "pypy2")]
    kept = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    for python in [name for name in (*names, *map(str, kept)) if name]:
        if not subprocess.run(
            [python, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode:
            return python
    raise SystemExit("the Autobahn testsuite needs Python 2.7 with pip, and none is here: nothing was tested")


def install(python: str) -> Path:
    """The suite's own packages, apart from everybody else's."""
    target = (HOME / "packages").absolute()
    if not (target / "autobahntestsuite").is_dir():
        draft = target.with_name("packages.new")
        shutil.rmtree(draft, ignore_errors=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(draft), SUITE], check=True)
        draft.rename(target)
    return target


async def test(python: str, packages: Path, cases: Sequence[str]) -> None:
    async with trio.open_nursery() as nursery:
        port = await nursery.start(run_echo)
        servers = [{"agent": "lanecast", "url": f"ws://127.0.0.1:{port}"}]
        specification = HOME / "fuzzingclient.json"
        specification.write_text(json.dumps({"outdir": str(REPORT), "servers": servers, "cases": cases}))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, "-c", RUN.format(str(packages)), "-m", "fuzzingclient", "-s", str(specification)]
        await trio.run_process(command, env=environment, stdout=subprocess.DEVNULL)
        nursery.cancel_scope.cancel()


def judge() -> int:
    """Print what came of the cases; 1 if one is not as it must be."""
    results: dict[str, dict[str, Any]] = json.loads((REPORT / "index.json").read_text())["lanecast"]
    for case in sorted(results, key=lambda name: [int(part) for part in name.split(".")]):
        said = (results[case]["behavior"], results[case]["behaviorClose"])
        if not set(said) <= GOOD:
            print(f"case {case}: {said[0]}, closing {said[1]}; see {REPORT / results[case]['reportfile']}")
    counts = Counter(result["behavior"] for result in results.values())
    closings = Counter(result["behaviorClose"] for result in results.values())
    print(f"{len(results)} cases: {_listed(counts)}; closing: {_listed(closings)}")
    return 0 if results and {*counts, *closings} <= GOOD else 1


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def main() -> int:
    python = find_python()
    HOME.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(REPORT, ignore_errors=True)
    trio.run(partial(test, python, install(python), sys.argv[1:] or ["*"]))
    return judge()


if __name__ == "__main__":
    sys.exit(main())
