"""API keys: made here, kept as digests in a file, known again when a client shows one."""

import hashlib
import hmac
import logging
import re
import secrets
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from app.inference.watchdog import logged_stall
from app.monitoring.log_once import LogOnce
from model.errors import CamspectorError
from model.files import utf8

log = logging.getLogger(__name__)

Role = Literal["predict", "label", "admin"]
ROLES: Final = get_args(Role)
POLL_SECONDS: Final = 1.0
"""How often the file is polled; a change holds when it has stayed as it is from one poll to the next."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class KeysError(CamspectorError):
    """The file of keys can't be read, or a line of it isn't one."""


@dataclass(frozen=True)
class Key:
    """What is kept of a key: enough to know it again, not to make it."""

    role: Role
    """Each may do what those before it may: label also label what is recorded, admin also change what serves."""
    name: str
    """Whose it is."""
    digest: str
    """SHA-256 of the key. It has 256 random bits: a slow hash, as for passwords, would add nothing."""

    @property
    def line(self) -> str:
        """In the file."""
        return f"{self.role} {self.name} {self.digest}"


def new_key(role: Role, name: str) -> tuple[str, Key]:
    """A new key, and what is kept of it. Raises KeysError for a name that can't be."""
    secret = secrets.token_urlsafe(32)
    return secret, _read_line(Key(role, name, _digest(secret)).line)


def read_keys(path: Path) -> tuple[Key, ...]:
    """One key a line: role, name and digest; empty lines and those that begin with # are skipped. Raises KeysError."""
    keys: dict[str, Key] = {}
    try:
        lines = utf8(path.read_bytes()).decode().splitlines()
    except UnicodeDecodeError as error:
        raise KeysError(f"the keys file {path} can't be read: not UTF-8") from error
    except (OSError, ValueError) as error:
        raise KeysError(f"the keys file {path} can't be read: {getattr(error, 'strerror', error)}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = _read_line(line.strip())
        except KeysError as error:
            raise KeysError(f"the keys file {path}, line {number}: {error}") from None
        if key.digest in keys:
            raise KeysError(f"the keys file {path}, line {number}: the key of another line")
        keys[key.digest] = key
    if not keys:
        raise KeysError(f"the keys file {path} has no key: nobody could do anything")
    return tuple(keys.values())


class Keyring:
    """The keys of a file, or none. A thread reads the file again when it has changed."""

    def __init__(self, path: Path | None, audit: Callable[[str, str], object] = lambda *_: None) -> None:
        """`audit` is told which keys the file has. Raises KeysError."""
        self._audit = audit
        self._path = path
        self._signature = self._seen = _signature(path) if path else None  # first: a change meanwhile is read again
        self._keys = read_keys(path) if path else ()
        self._warnings = LogOnce(log)
        self._warnings.update(_warnings_on(path) if path else set())
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="keys", daemon=True)

    @property
    def needed(self) -> bool:
        """Whether requests need a key."""
        return self._path is not None

    def find(self, secret: str) -> Key | None:
        """The key that was shown. Every one is compared, each in constant time."""
        shown = _digest(secret)
        found = [key for key in self._keys if hmac.compare_digest(key.digest, shown)]
        return found[0] if found else None

    def start(self) -> None:
        self.thread.start()
        self._tell()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            with logged_stall(f"polling the keys file {self._path}", log):
                self.poll()

    def poll(self) -> None:
        """Read the file again where it has changed since, and not any more since the last poll.

        So a file that is being written, of which a part may look whole, withdraws no key. While it is broken, the keys
        that were read last hold.
        """
        if self._path is None:
            return
        before, self._seen = self._seen, _signature(self._path)
        if self._seen == self._signature or self._seen != before:
            return
        keys, wrong = self._keys, _warnings_on(self._path)
        try:
            keys = read_keys(self._path)
        except KeysError as error:
            wrong.add(f"{error}; the keys that were read last stay valid")
        if _signature(self._path) != self._seen:
            return  # it was changed while it was read
        self._signature = self._seen
        self._warnings.update(wrong)
        if keys != self._keys:
            self._keys = keys
            self._tell()
            log.info("keys are read again; there are: %s", ", ".join(f"{key.name} ({key.role})" for key in keys))

    def _tell(self) -> None:
        """Of each key as much as tells it from others, and less than finds it in a list of digests."""
        if self._path is not None:
            self._audit(str(self._path), "\n".join(f"{key.role} {key.name} {key.digest[:12]}" for key in self._keys))


def _read_line(line: str) -> Key:
    """Its text isn't repeated in errors: somebody may have put the key itself there."""
    parts = line.split()
    if len(parts) != 3:
        raise KeysError("must be a role, a name and a digest, as the command `key` prints them")
    role, name, digest = parts
    if role not in ROLES:
        raise KeysError(f"the role must be {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    if not _NAME.fullmatch(name):
        raise KeysError("the name must be 1 to 64 letters, digits, '.', '_' and '-'")
    if not _DIGEST.fullmatch(digest):
        raise KeysError("the digest must be 64 hexadecimal digits")
    return Key(role, name, digest)  # type: ignore[arg-type]  # checked above


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _warnings_on(path: Path) -> set[str]:
    """Who may read the file finds no key in it; who may write it needs none."""
    try:
        open_to_all = path.stat().st_mode & stat.S_IWOTH
    except OSError:
        return set()
    doubt = f"anyone on this machine can write the keys file {path}, and give themselves a key: chmod o-w"
    return {doubt} if open_to_all else set()


def _signature(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
