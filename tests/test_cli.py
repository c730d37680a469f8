import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor import __version__, provenance
from monitor.cli import main
from monitor.config import Settings
from monitor.keyring import Keyring
from monitor.keys import load_keys
from monitor.serve.tokens import Claims, Grant, TokenReader
from tests.captures import capture
from tests.command import lanecast, serving, started
from tests.process import ROOT


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """What a command runs in, beside a server that has been started before."""
    load_keys(Settings(data_dir=tmp_path / "data"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANECAST_")}
    return {**kept, "PYTHONPATH": str(ROOT), "LANECAST_DATA_DIR": str(tmp_path / "data")}


def test_help_lists_every_command_and_loads_none(surroundings: dict[str, str]) -> None:
    shown = started(surroundings, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert shown.returncode == 0
    for command in ("run", "serve", "console", "venue", "publish", "check", "token", "keys", "dictionary"):
        assert f"\n  {command} " in shown.stdout
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"trio", "pydantic", "textual", "httpx", "jwt"}


def test_without_a_command_the_help_is_shown(surroundings: dict[str, str]) -> None:
    assert lanecast(surroundings).stdout == lanecast(surroundings, "--help").stdout


def test_version_tells_the_commit_and_what_is_inside(surroundings: dict[str, str]) -> None:
    program, packages = lanecast(surroundings, "--version").stdout.splitlines()
    assert program == f"lanecast {__version__}, commit {provenance.commit()}"
    assert packages.startswith(f"Python {platform.python_version()}, trio {metadata.version('trio')}, ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_the_shells_own(surroundings: dict[str, str], shell: str) -> None:
    printed = lanecast(surroundings, "completion", shell)
    assert printed.returncode == 0
    assert f"_LANECAST_COMPLETE={shell}_complete" in printed.stdout


def test_half_a_command_is_completed(surroundings: dict[str, str]) -> None:
    completed = lanecast(
        surroundings, _LANECAST_COMPLETE="bash_complete", COMP_WORDS="lanecast journal ex", COMP_CWORD="2"
    )
    assert completed.stdout == "plain,export\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["serve", "--port", "70000"], "port is '70000' on the command line: must be at most 65535"),
        (["run", "--port", "abc"], "port is 'abc' on the command line: must be a whole number"),
        (["serve", "--rate", "0"], "simulator.rate is '0' on the command line: must be greater than 0"),
        (["serve", "--set", "prot=1"], "prot on the command line is not a setting; did you mean port?"),
        (["serve", "--set", "port"], "--set 'port' must be KEY=VALUE, as in --set limits.connections=500"),
        (["serve", "--config", "no.toml"], "no.toml can't be read: No such file or directory"),
        (["check", "no.toml"], "no.toml can't be read: No such file or directory"),
        (["serve", "--prot", "1"], "no such option '--prot'"),
        (["token"], "missing argument 'SUB'; see lanecast token --help"),
        (["token", ""], "SUB is empty: such a token would be nobody's"),
        (["token", "ann", "--info", "{"], "--info '{' is not JSON: "),
        (["token", "ann", "--channel", "a:b", "--grant", "c:d"], "--channel makes a subscription token"),
        (["venue", "x", "--speed", "fast"], "--speed 'fast' must be a number above 0"),
        (["venue", "absent.jsonl.gz"], "absent.jsonl.gz"),
        (["publish", "a:b", "{"], "'{' is not JSON: "),
        (
            ["publish", "a:b", "1", "--url", "localhost:8000"],
            "url is 'localhost:8000', must be an http, https, ws or wss address of a server",
        ),
        (
            ["dictionary", "train", "--seconds", "86400", "--output", "absent/x"],
            "--output: absent/x can't be written: No such file or directory",
        ),
    ],
)
def test_mistake_is_one_sentence_and_exit_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANECAST_DATA_DIR", str(tmp_path / "data"))
    load_keys(Settings(data_dir=tmp_path / "data"))
    monkeypatch.setattr(sys, "argv", ["lanecast", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("lanecast: ")
    assert sentence in said.err


@pytest.mark.parametrize(("arguments", "unbuffered"), [(["--help"], ""), (["token", "ann"], "1")])
def test_reader_who_leaves_is_no_error(
    surroundings: dict[str, str], arguments: list[str], unbuffered: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", *arguments],
        env={**surroundings, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_disk_under_what_is_printed_is_one_sentence(
    surroundings: dict[str, str], unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "monitor", "token", "ann"],
            env={**surroundings, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "lanecast: the output can't be written: No space left on device\n"
    assert done.returncode == 1


def test_wrong_variable_is_one_sentence_and_exit_2(surroundings: dict[str, str]) -> None:
    done = lanecast(surroundings, "serve", LANECAST_PORT="x")
    assert done.returncode == 2
    assert done.stderr == "lanecast: port is 'x' in LANECAST_PORT: must be a whole number\n"


def test_port_in_use_is_one_sentence(surroundings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = started(surroundings, "serve", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port}: Address already in use" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_who_finds_the_port_taken_has_touched_no_journal(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started(surroundings, "serve", "--port", str(taken.getsockname()[1]))
    assert not list((tmp_path / "data").glob("journal*"))


def test_check_says_ok_or_each_mistake(surroundings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("port = 1")
    (tmp_path / "bad.toml").write_text("port = -1\ntick = 3")
    good = lanecast(surroundings, "check", "good.toml")
    bad = lanecast(surroundings, "check", "bad.toml")
    assert (good.returncode, good.stdout) == (0, "good.toml: ok\n")
    assert bad.returncode == 2
    assert [line.split()[1] for line in bad.stderr.splitlines()] == ["port", "tick"]


def test_check_finds_files_that_a_start_would_not(surroundings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("")
    (tmp_path / "named.toml").write_text(
        """
        jwks_file = "keys.json"
        zstd_dictionary = "lanecast.zdict"
        tls = { certificate_file = "no.pem", key_file = "key.pem" }
        feeds.kalshi = { markets = ["FED-23DEC-T3.00"], key_id = "k", private_key_file = "key.pem" }
        """
    )
    checked = lanecast(surroundings, "check", "named.toml")
    assert checked.returncode == 2
    assert checked.stderr.splitlines()[:3] == [
        "lanecast: zstd_dictionary lanecast.zdict can't be read: No such file or directory",
        "lanecast: tls.certificate_file no.pem can't be read: No such file or directory",
        "lanecast: jwks_file keys.json can't be read: No such file or directory",
    ]
    assert "feeds.kalshi.private_key_file: key.pem is no private key in PEM form" in checked.stderr


def test_check_tells_of_a_data_directory_that_cannot_be_and_of_a_kind_that_nothing_has(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "given.toml").write_text("[kinds.fill]\nthreshold_ms = 5\n")
    checked = lanecast(surroundings, "check", "given.toml")
    assert checked.returncode == 0
    assert checked.stderr.startswith("lanecast: kinds.fill is of no event of ours and of no namespace")
    checked = lanecast(surroundings, "check", "given.toml", LANECAST_DATA_DIR="file/data")
    assert checked.returncode == 2
    assert checked.stderr == "lanecast: data_dir file/data can't be written: Not a directory\n"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "file", "given.toml"}


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["token", "ann"], "token"),
        (["token", "me", "--operator"], "operator"),
        (["publish", "chat:a", "1"], "api"),
        (["console", "--once"], "operator"),
        (["keys", "rotate", "api"], "api"),
    ],
)
def test_only_a_server_makes_keys(
    surroundings: dict[str, str], tmp_path: Path, arguments: list[str], key: str
) -> None:
    typo = tmp_path / "typo"
    failed = lanecast(surroundings, *arguments, LANECAST_DATA_DIR=str(typo))
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"lanecast: {typo}/{key}.key is not there: a server makes it")
    assert not typo.exists()


def test_group_without_its_command_shows_its_help(surroundings: dict[str, str]) -> None:
    shown = lanecast(surroundings, "keys")
    assert (shown.returncode, shown.stderr) == (2, lanecast(surroundings, "keys", "--help").stdout)


def claims_of(surroundings: dict[str, str], *arguments: str) -> Claims:
    printed = lanecast(surroundings, "token", *arguments)
    assert printed.returncode == 0, printed.stderr
    (token,) = printed.stdout.splitlines()
    settings = Settings(data_dir=Path(surroundings["LANECAST_DATA_DIR"]))
    return TokenReader(Keyring(load_keys(settings)), settings).read(token, now=0)


def test_token_is_signed_with_the_kept_keys(surroundings: dict[str, str]) -> None:
    assert claims_of(surroundings, "ann") == Claims("ann")
    assert claims_of(surroundings, "me", "--operator").is_operator
    limited = claims_of(surroundings, "ann", "--ttl", "60", "--channel", "orders:ann")
    assert limited.channel == "orders:ann"
    assert limited.expires_at is not None


def test_token_says_what_others_are_shown_and_which_channels_come_with_it(
    surroundings: dict[str, str],
) -> None:
    claims = claims_of(
        surroundings, "ann", "--info", '{"name":"Ann"}', "--grant", "chat:a", "--grant", "chat:b"
    )
    assert claims.info == b'{"name":"Ann"}'
    assert claims.grants == {"chat:a": Grant(), "chat:b": Grant()}


def test_token_is_made_for_the_audience_and_by_the_issuer_that_the_server_wants(
    surroundings: dict[str, str],
) -> None:
    wanted = {"LANECAST_TOKEN_AUDIENCE": "lanecast", "LANECAST_TOKEN_ISSUER": "home"}
    made = lanecast(surroundings, "token", "ann", **wanted).stdout.strip()
    settings = Settings(
        data_dir=Path(surroundings["LANECAST_DATA_DIR"]), token_audience="lanecast", token_issuer="home"
    )
    assert TokenReader(Keyring(load_keys(settings)), settings).read(made, now=0).user == "ann"


class Api(HTTPServer):
    """Answers one publish as a server would, and remembers how it was asked."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.status, self.answer = status, answer
        self.path, self.key, self.body = "", "", b""


class Asked(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        self.server.path, self.server.key = self.path, self.headers["X-API-Key"]
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def api(status: int, answer: str) -> Iterator[tuple[Api, str]]:
    with Api(status, answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        thread.join()


def test_publish_sends_the_payload_byte_for_byte(surroundings: dict[str, str]) -> None:
    payload = '{"price": 0.12345678901234567890}'
    with api(200, '{"result": {"offset": 3}}') as (server, url):
        done = lanecast(
            surroundings, "publish", "a:b", "-", "--url", url, stdin=payload, LANECAST_API_KEY="k"
        )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"offset": 3})
    assert (server.path, server.key) == ("/api/publish", "k")
    assert server.body == f'{{"channel":"a:b","data":{payload}}}'.encode()


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (
            200,
            '{"error": {"code": 102, "message": "unknown channel"}}',
            "did not publish: unknown channel (102)",
        ),
        (401, "", "refused the API key; set LANECAST_API_KEY or --data-dir to the server's"),
        (404, "<html>", "answered with status 404: '<html>'"),
        (502, '{"message":"no upstream"}', 'answered with status 502: \'{"message":"no upstream"}\''),
    ],
)
def test_refused_publish_is_one_sentence_and_exit_1(
    surroundings: dict[str, str], status: int, answer: str, sentence: str
) -> None:
    with api(status, answer) as (_, url):
        done = lanecast(surroundings, "publish", "a:b", "1", "--url", url)
    assert (done.returncode, done.stderr) == (1, f"lanecast: {url} {sentence}\n")


def test_publish_without_a_server_is_one_sentence_and_exit_1(surroundings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]
    done = lanecast(surroundings, "publish", "a:b", "1", LANECAST_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"lanecast: nothing listens at 127.0.0.1:{port}; start a server with lanecast run,"
        " or give the address of one\n"
    )


def test_served_address_is_ready_takes_a_publication_and_ends_without_a_trace(
    surroundings: dict[str, str],
) -> None:
    with serving(surroundings, "serve", "--log-level", "error") as (process, url):
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        published = lanecast(surroundings, "publish", "dashboard:x", "{}", "--url", url)
        assert (published.returncode, published.stderr) == (0, "")
        stranger = lanecast(surroundings, "publish", "dashboard:x", "{}", "--url", url, LANECAST_API_KEY="k")
        assert "refused the API key" in stranger.stderr
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")


def test_recorded_session_is_served_until_ctrl_c(surroundings: dict[str, str]) -> None:
    with serving(surroundings, "venue", str(capture("binance/spot_4sym_20211012"))) as (process, url):
        host, _, port = url.removeprefix("ws://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10):
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (130, "")
