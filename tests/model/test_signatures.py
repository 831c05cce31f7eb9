"""Whose versions are taken."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from model.artifact import SUMS, complete_sums, read_artifact, read_sums
from model.errors import KeyFileError, SignatureError
from model.signatures import SIGNATURE, SigningKey, TrustedKeys
from tests.support.artifacts import publish
from tests.support.signing import key_files


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return publish(tmp_path / "store")


def test_by_any_of_the_trusted_keys(version: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path)
    _, other = key_files(tmp_path, "other")
    both = tmp_path / "both.pub"
    both.write_bytes(other.read_bytes() + public.read_bytes())
    SigningKey.read(private).sign(version)
    TrustedKeys.read(both).check(version)
    with pytest.raises(SignatureError, match="by none of the trusted keys"):
        TrustedKeys.read(other).check(version)
    read_artifact(version)


def test_what_was_changed_or_is_not_signed(version: Path, tmp_path: Path) -> None:
    private, public = key_files(tmp_path)
    trusted = TrustedKeys.read(public)
    with pytest.raises(SignatureError, match="isn't signed"):
        trusted.check(version)
    SigningKey.read(private).sign(version)
    (version / SUMS).write_bytes((version / SUMS).read_bytes() + b"\n")
    with pytest.raises(SignatureError, match="or it was changed"):
        trusted.check(version)
    for signature in (b"", b"!", b"AAAA"):
        (version / SIGNATURE).write_bytes(signature)
        with pytest.raises(SignatureError):
            trusted.check(version)


NO_KEY = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("content", [None, b"", b"key", NO_KEY])
def test_files_that_are_no_keys(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    for read in (SigningKey.read, TrustedKeys.read):
        with pytest.raises(KeyFileError, match=str(path)):
            read(path)


def test_another_kind_of_key(tmp_path: Path) -> None:
    key = generate_private_key(65537, 2048).public_key()
    (tmp_path / "key").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(KeyFileError, match="isn't Ed25519's"):
        TrustedKeys.read(tmp_path / "key")


def test_the_sums_have_every_file(version: Path) -> None:
    (version / "report").mkdir()
    (version / "report" / "report.html").write_text("how good it is")
    complete_sums(version)
    files = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    assert read_sums(version / SUMS).keys() == files - {SUMS}
    read_artifact(version)
