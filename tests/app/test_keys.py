"""API keys: made, kept, found again, withdrawn."""

import hashlib
import os
from pathlib import Path

import pytest

from app.__main__ import main
from app.middleware.keys import Key, Keyring, KeysError, new_key, read_keys

DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_key_that_the_command_prints_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "--role", "admin", "--name", "line-3"]) == 0
    secret, line = [said.partition(":")[2].strip() for said in capsys.readouterr().out.splitlines()]
    assert len(secret) == 43
    assert line == f"admin line-3 {hashlib.sha256(secret.encode()).hexdigest()}"
    assert secret not in line
    (tmp_path / "keys").write_text(f"# ours\n\n  {line}\n")
    found = Keyring(tmp_path / "keys").find(secret)
    assert found is not None
    assert (found.role, found.name) == ("admin", "line-3")


def test_no_two_keys_are_equal() -> None:
    assert len({new_key("predict", "a")[0] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--role", "admin"], "required: --name"),
        (["--role", "root", "--name", "a"], "invalid choice: 'root'"),
    ],
)
def test_wrong_flags(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["key", *arguments])
    assert exit_.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "ä", "#"])
def test_wrong_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "--role", "predict", "--name", name]) == 2
    output = capsys.readouterr()
    assert "python -m app key: " in output.err
    assert output.out == ""


@pytest.mark.parametrize("secret", ["", "x", "ä", DIGEST])
def test_what_is_not_a_key_is_not_found(tmp_path: Path, secret: str) -> None:
    (tmp_path / "keys").write_text(f"predict a {DIGEST}\n")
    assert Keyring(tmp_path / "keys").find(secret) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no key"),
        ("# nothing\n", "has no key"),
        ("predict a\n", "line 1: must be a role, a name and a digest"),
        (f"predict a {DIGEST} b\n", "line 1: must be a role, a name and a digest"),
        (f"# one\nroot a {DIGEST}\n", "line 2: the role must be predict, label or admin"),
        (f"predict a/b {DIGEST}\n", "line 1: the name must be"),
        (f"predict a {DIGEST[1:]}\n", "line 1: the digest must be 64 hexadecimal digits"),
        (f"predict a {DIGEST.upper()}\n", "line 1: the digest must be 64 hexadecimal digits"),
        (f"predict a {DIGEST}\nadmin b {DIGEST}\n", "line 2: the key of another line"),
        ("\xff", "can't be read: not UTF-8"),
    ],
)
def test_broken_file_is_named_and_not_repeated(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(KeysError) as raised:
        read_keys(path)
    assert str(raised.value).startswith(f"the keys file {path}")
    assert reason in str(raised.value)
    assert DIGEST[1:] not in str(raised.value)


def test_file_as_windows_saves_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    text = f"# line 3\r\npredict a {DIGEST}\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert [key.name for key in read_keys(path)] == ["a"]
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(KeysError, match="can't be read: it is in UTF-16 or UTF-32: save it as UTF-8"):
        read_keys(path)


def test_broken_file_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--store", str(tmp_path), "--keys-file", str(tmp_path / "none")]) == 2
    assert f"the keys file {tmp_path / 'none'} can't be read: No such file" in capsys.readouterr().err


def replaced(path: Path, text: str) -> None:
    """As one should: a reader sees the old file or the new one."""
    path.with_name("draft").write_text(text)
    os.replace(path.with_name("draft"), path)


def look_twice(keyring: Keyring) -> None:
    """A file that has just changed may be half-written: it is read when it has stayed as it is."""
    keyring.poll()
    keyring.poll()


def test_keys_are_exchanged_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (first, kept), (second, next_) = new_key("predict", "old"), new_key("admin", "new")
    path = tmp_path / "keys"
    path.write_text(kept.line)
    keyring = Keyring(path)
    keyring.poll()
    assert caplog.messages == []
    replaced(path, f"{kept.line}\n{next_.line}\n")
    look_twice(keyring)
    assert (keyring.find(first), keyring.find(second)) == (kept, next_)
    replaced(path, next_.line)
    look_twice(keyring)
    assert (keyring.find(first), keyring.find(second)) == (None, next_)
    assert caplog.messages == [
        "keys are read again; there are: old (predict), new (admin)",
        "keys are read again; there are: new (admin)",
    ]


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_while_the_file_is_broken_the_last_keys_stay_valid(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    secret, key = new_key("predict", "line-3")
    path = tmp_path / "keys"
    path.write_text(key.line)
    keyring = Keyring(path)
    path.unlink()
    if text is not None:
        path.write_text(text)
    look_twice(keyring)
    look_twice(keyring)
    assert keyring.find(secret) == key
    (message,) = caplog.messages
    assert f"the keys file {path}" in message
    assert "the keys that were read last stay valid" in message
    replaced(path, key.line)
    look_twice(keyring)
    assert caplog.messages[1].startswith("resolved: ")


@pytest.mark.parametrize("size", [0, 10, 75, 77, 78, 150])
def test_a_file_that_is_being_written_withdraws_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    """As an editor or scp writes it in place: cut to nothing, then in pieces, which may end where a line does."""
    (first, one), (second, two), (third, three) = (new_key("predict", "line-3") for _ in range(3))
    before = f"{one.line}\n{two.line}\n"
    path = tmp_path / "keys"
    path.write_text(before)
    keyring = Keyring(path)
    after = f"{one.line}\n{two.line}\n{three.line}\n"
    for end in (size, size + 1, len(after)):
        with path.open("r+") as file:
            file.truncate(0)
            file.write(after[:end])
        keyring.poll()
        assert (keyring.find(first), keyring.find(second)) == (one, two)
    keyring.poll()
    assert keyring.find(third) == three
    assert len(caplog.messages) == 1


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, one), (second, two) = new_key("predict", "a"), new_key("predict", "b")
    path = tmp_path / "keys"
    path.write_text(f"{one.line}\n{two.line}\n")
    keyring = Keyring(path)
    replaced(path, f"{one.line}\n")
    keyring.poll()

    def slow(read: Path) -> tuple[Key, ...]:
        found = read_keys(read)
        replaced(path, f"# both\n{one.line}\n{two.line}\n")
        return found

    with monkeypatch.context() as patch:
        patch.setattr("app.middleware.keys.read_keys", slow)
        keyring.poll()
    look_twice(keyring)
    assert (keyring.find(first), keyring.find(second)) == (one, two)


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o644, False), (0o664, False), (0o646, True), (0o602, True)]
)
def test_a_file_that_anyone_may_write_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    path = tmp_path / "keys"
    path.write_text(f"predict a {DIGEST}\n")
    path.chmod(mode)
    keyring = Keyring(path)
    look_twice(keyring)
    line = f"anyone on this machine can write the keys file {path}, and give themselves a key: chmod o-w"
    assert caplog.messages == [line] * warned
    path.chmod(0o600)
    look_twice(keyring)
    assert [message for message in caplog.messages if "chmod" in message] == [line, f"resolved: {line}"][: 2 * warned]


def test_without_a_file_no_key_is_needed() -> None:
    keyring = Keyring(None)
    keyring.poll()
    assert not keyring.needed
    assert keyring.find("") is None


def test_the_line_of_a_key() -> None:
    assert Key("predict", "line-3", DIGEST).line == f"predict line-3 {DIGEST}"
