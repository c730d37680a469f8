"""A certificate for a server of ours that is to speak TLS, and whether there is all that this takes."""

import shutil
import subprocess
from pathlib import Path

PROBE_SECONDS = 10


def missing_for_tls(programs: Path) -> str:
    """What has to be installed; empty if nothing."""
    if shutil.which("openssl") is None:
        return "install openssl"
    # Compiled without TLS, the load client knows no such option.
    probe = [str(programs / "load"), "--tls", "0", "--clients", "0"]
    ended = subprocess.run(probe, input=b"", capture_output=True, check=False, timeout=PROBE_SECONDS)
    return "install OpenSSL's headers (libssl-dev)" if ended.returncode else ""


def make_certificate(directory: Path) -> dict[str, str]:
    """The setting `tls` of a server, with an ECDSA key and a certificate of its own for it."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    subprocess.run([*command.split(), "-out", certificate, "-keyout", key], capture_output=True, check=True)
    return {"certificate_file": str(certificate), "key_file": str(key)}
