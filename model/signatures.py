"""Signatures of versions: Ed25519 (RFC 8032) of SHA256SUMS, which has the SHA-256 of all that a version is.

Keys are files in PEM, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model.artifact import SUMS
from model.errors import KeyFileError, MissingFileError, SignatureError, UnreadableFileError
from model.files import read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE: Final = "SHA256SUMS.sig"
_BLOCK: Final = re.compile(b"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True)
class SigningKey:
    """Of whoever publishes versions."""

    key: "Ed25519PrivateKey"

    @staticmethod
    def read(path: Path) -> "SigningKey":
        """Raises KeyFileError."""
        (block,) = _blocks(path, "private", 1)
        ed25519, serialization = _cryptography()
        try:
            key = serialization.load_pem_private_key(block, None)
        except (ValueError, TypeError) as error:
            raise KeyFileError(f"{path} has no private key without a password: {error}") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyFileError(f"{path} has a key that isn't Ed25519's")
        return SigningKey(key)

    def sign(self, version: Path) -> None:
        """Put the signature beside the sums. Raises OSError."""
        signature = base64.b64encode(self.key.sign((version / SUMS).read_bytes()))
        (version / SIGNATURE).write_bytes(signature + b"\n")


@dataclass(frozen=True)
class TrustedKeys:
    """Of those whose versions are taken."""

    keys: tuple["Ed25519PublicKey", ...]

    @staticmethod
    def read(path: Path) -> "TrustedKeys":
        """One public key or more, one after the other in the file. Raises KeyFileError."""
        ed25519, serialization = _cryptography()
        keys = []
        for block in _blocks(path, "public"):
            try:
                key = serialization.load_pem_public_key(block)
            except ValueError as error:
                raise KeyFileError(f"{path} has something else than public keys: {error}") from None
            if not isinstance(key, ed25519.Ed25519PublicKey):
                raise KeyFileError(f"{path} has a key that isn't Ed25519's")
            keys.append(key)
        return TrustedKeys(tuple(keys))

    def check(self, version: Path) -> None:
        """Raises SignatureError, or UnreadableFileError."""
        try:
            signature = read_file(version / SIGNATURE)
        except MissingFileError:
            raise SignatureError(f"{version} isn't signed, and only signed versions are trusted") from None
        self.check_sums(read_file(version / SUMS), signature, str(version))

    def check_sums(self, sums: bytes, signature: bytes, source: str) -> None:
        """Raises SignatureError, which names `source`."""
        from cryptography.exceptions import InvalidSignature

        try:
            raw = base64.b64decode(signature.strip(), validate=True)
        except binascii.Error:
            raise SignatureError(f"{source}: {SIGNATURE} is no signature") from None
        for key in self.keys:
            try:
                key.verify(raw, sums)
            except InvalidSignature:
                continue
            return
        raise SignatureError(f"{source}: its signature is by none of the trusted keys, or it was changed")


def _blocks(path: Path, kind: str, most: int | None = None) -> list[bytes]:
    """Raises KeyFileError."""
    try:
        found = _BLOCK.findall(read_file(path))
    except (MissingFileError, UnreadableFileError) as error:
        raise KeyFileError(str(error)) from None
    if not found or (most is not None and len(found) > most):
        raise KeyFileError(f"{path} has {len(found)} keys in PEM: {most or 'one or more'} {kind} is wanted")
    return found


def _cryptography() -> tuple[Any, Any]:
    """Raises KeyFileError where it isn't installed."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise KeyFileError(f"signatures need the packages of camspector[fleet]: {error}") from None
    return ed25519, serialization
