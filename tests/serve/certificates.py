"""Certificates of our own making, for the servers of the tests."""

import datetime
import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from monitor.config import TlsSettings

LIFETIME = datetime.timedelta(days=1)


def make_certificate(
    directory: Path, name: str = "localhost", authority: TlsSettings | None = None
) -> TlsSettings:
    """A key and its certificate, for a name and 127.0.0.1, in two files of the directory.

    Without an authority it is its own, and may vouch for others, as what openssl makes.
    """
    settings = TlsSettings(certificate_file=directory / "cert.pem", key_file=directory / "key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing_key = _signer(authority) if authority else (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    settings.key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    settings.certificate_file.write_bytes(certificate.public_bytes(pem))
    return settings


def _signer(authority: TlsSettings) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(authority.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(authority.certificate_file.read_bytes()).subject, key


def trusting(settings: TlsSettings) -> ssl.SSLContext:
    """A client's context that trusts this certificate alone."""
    return ssl.create_default_context(cafile=str(settings.certificate_file))
