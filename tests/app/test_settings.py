"""Settings: where they come from, what is refused, and that every one is documented."""

import re
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from app.__main__ import main
from app.settings import ConfigurationError, Settings, read_settings
from app.unknown_settings import unknown_variables

TABLE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_flags_win_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMSPECTOR_STORE", "/models")
    monkeypatch.setenv("CAMSPECTOR_PORT", "9000")
    monkeypatch.setenv("CAMSPECTOR_MAX_BATCH", "4")
    monkeypatch.setenv("CAMSPECTOR_MAX_PIXELS", "1000")
    settings = read_settings(["--port", "9001"])
    assert (settings.store, settings.port, settings.max_batch) == (Path("/models"), 9001, 4)
    assert settings.max_pixels == 1000


@pytest.mark.parametrize("name", ["defect_rate", "thresholds"])
def test_members_of_serving_json_are_no_settings(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Passed over, verdicts would be others than was meant."""
    flag, variable = "--" + name.replace("_", "-"), "CAMSPECTOR_" + name.upper()
    reason = rf"{flag} \(or {variable}\): .*serving\.json.*/v1/admin/models/MODEL/serving"
    for flags in ([flag, "capsule=0.02"], [f"{flag}=capsule=0.02"]):
        assert main(["serve", "--store", "x", *flags]) == 2
        assert re.search(reason, capsys.readouterr().err)
    monkeypatch.setenv(variable.lower(), '{"capsule": 0.02}')
    with pytest.raises(ConfigurationError, match=reason):
        read_settings(["--store", "x"])
    monkeypatch.setenv(variable.lower(), "")  # as compose makes one of X=${X:-}
    assert read_settings(["--store", "x"]).store == Path("x")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings(store=Path("x")).port = 1


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ([], r"--store \(or CAMSPECTOR_STORE\): Field required"),
        (["--store", "x", "--port", "many"], r"--port \(or CAMSPECTOR_PORT\): .*integer"),
        (["--store", "x", "--port", "65536"], r"--port .*65535"),
        (["--store", "x", "--max-bytes", "0"], r"--max-bytes .*greater than or equal to 1"),
        (["--store", "x", "--device", "tpu"], r"--device .*'auto', 'cpu' or 'cuda'"),
        (
            ["--store", "x", "--root-path", "inspection/"],
            r"--root-path .*: must be a path that begins with a slash, as",
        ),
        (
            ["--store", "x", "--root-path", "//inspection"],
            r"--root-path .*: must be a path that begins with a slash, as",
        ),
        (["--store", "x", "--root-path", "/a?b"], r"--root-path .*: must be a path that begins with a slash, as"),
        (["--store", "x", "--host", ""], r"--host .*at least 1 character"),
        (["--store", "x", "--host", "no.such.invalid"], r"can't listen on no.such.invalid, port 8000: .*--host"),
        (["--store", "x", "--host", "a..b"], r"can't listen on a..b, port 8000: .*--host"),
        (["--store", "x", "--host", "192.0.2.9"], r"can't listen on 192.0.2.9, port 8000: .*--host"),
        (["--store", ""], r"--store \(or CAMSPECTOR_STORE\): must not be empty"),
        (["--store", "x", "--deadline-ms", "60001"], r"--deadline-ms .*60000"),
        (["--store", "x", "--trusted-proxies", "gateway"], r"--trusted-proxies .*'gateway'"),
        (["--store", "x", "--trusted-proxies", "10.0.0.1, 10.0.0.1/8"], r"--trusted-proxies .*10\.0\.0\.1/8"),
        (["--store", "x", "--trusted-proxies", "127.0.0.1,*"], r"--trusted-proxies .*'\*'"),
        (["--store", "x", "--allowed-hosts", "a.example,b.example:80"], r"--allowed-hosts .*'b.example:80' is none"),
        (["--store", "x", "--allowed-hosts", "*"], r"--allowed-hosts .*'\*' is none"),
        (["--store", "x", "--allowed-hosts", "a.example,"], r"--allowed-hosts .*'' is none"),
        (["--store", "x", "--cors-origins", "line.example"], r"--cors-origins .*'line.example' is none"),
        (["--store", "x", "--cors-origins", "https://a.example/"], r"--cors-origins .*'https://a.example/' is none"),
        (["--store", "x", "--cors-origins", "*"], r"--cors-origins .*'\*' is none"),
    ],
)
def test_bad_values_are_named(flags: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "can't listen" not in reason:
        with pytest.raises(ConfigurationError, match=reason):
            read_settings(flags)
    assert main(["serve", *flags]) == 2
    assert re.search(reason, capsys.readouterr().err)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_sets_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As compose makes one of X=${X:-}. An empty flag is a value, or a slip."""
    monkeypatch.setenv(f"CAMSPECTOR_{name.upper()}", "")
    if name == "store":
        with pytest.raises(ConfigurationError, match="Field required"):
            read_settings([])
    else:
        assert read_settings(["--store", "x"]) == Settings(store=Path("x"))


@pytest.mark.parametrize(("written", "path"), [("/a/", "/a"), ("/a/b//", "/a/b"), ("/", ""), ("", "")])
def test_root_path(written: str, path: str) -> None:
    assert read_settings(["--store", "x", "--root-path", written]).root_path == path


@pytest.mark.parametrize(("written", "host"), [("[::1]", "::1"), ("::", "::"), ("localhost", "localhost")])
def test_host(written: str, host: str) -> None:
    assert read_settings(["--store", "x", "--host", written]).host == host


def test_a_link_to_a_service_is_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets it in every pod beside a Service named camspector."""
    monkeypatch.setenv("CAMSPECTOR_PORT", "tcp://10.96.0.17:80")
    assert read_settings(["--store", "x"]).port == 8000
    assert read_settings(["--store", "x", "--port", "9000"]).port == 9000


LINKS: Final = (
    "CAMSPECTOR_SERVICE_HOST", "CAMSPECTOR_SERVICE_PORT", "CAMSPECTOR_SERVICE_PORT_HTTP", "CAMSPECTOR_PORT",
    "CAMSPECTOR_PORT_8000_TCP", "CAMSPECTOR_PORT_8000_TCP_PROTO", "CAMSPECTOR_PORT_8000_TCP_ADDR",
    "CAMSPECTOR_LINE_3_SERVICE_HOST", "CAMSPECTOR_LINE_3_PORT_80_TCP_PORT",
)  # fmt: skip
"""What Kubernetes sets beside Services named camspector and camspector-line-3."""


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CAMSPECTOR_TRUSTED_PROXY", "; meant: CAMSPECTOR_TRUSTED_PROXIES?"),
        ("camspector_max_byte", "; meant: CAMSPECTOR_MAX_BYTES?"),
        ("CAMSPECTOR_XYZ", ""),
    ],
)
def test_a_misspelt_variable_is_named(variable: str, meant: str) -> None:
    environment = dict.fromkeys(
        [variable, "CAMSPECTOR_STORE", "camspector_port", "CAMSPECTOR_CACHE", "HOME", *LINKS], "x"
    )
    found = unknown_variables(environment, Settings.model_fields)
    assert found == [f"{variable} is in the environment, but is no setting{meant}"]


def test_the_log_names_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CAMSPECTOR_TRUSTED_PROXY", "*")
    monkeypatch.setattr("app.connection.server._listening", lambda _: [])
    monkeypatch.setattr("app.connection.server.log_to_stderr", lambda *_: None)
    monkeypatch.setattr("app.connection.server.Server.run", lambda *_: None)
    assert main(["serve", "--store", "x"]) == 0
    assert [record.message for record in caplog.records] == [
        "CAMSPECTOR_TRUSTED_PROXY is in the environment, but is no setting; meant: CAMSPECTOR_TRUSTED_PROXIES?"
    ]


@pytest.mark.parametrize("value", ["*", "", "10.0.0.0/8, ::1,192.168.0.7"])
def test_trusted_proxies(value: str) -> None:
    assert read_settings(["--store", "x", "--trusted-proxies", value]).trusted_proxies == value


@pytest.mark.parametrize("flags", [["--nonsense"], ["--store", "x", "--por", "1"], ["--store", "x", "stray"]])
def test_unknown_flags(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["serve", *flags])
    assert exit_.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["train"], ["--store", "x"]])
def test_unknown_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m app serve --store DIR" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_names_every_setting(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    output = " ".join(capsys.readouterr().out.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in output
        assert f"CAMSPECTOR_{name.upper()}" in output
        assert field.description
        assert field.description in output


def test_the_table_in_the_documentation_is_complete() -> None:
    """docs/configuration.md says of every setting what the code says."""
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| `--")]
    assert rows == [
        f"| `--{name.replace('_', '-')}` | `CAMSPECTOR_{name.upper()}` | {said(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def said(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in (None, "", {}) else "none"
