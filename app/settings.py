"""Every setting of the service: from a flag, else the environment, else the default; read once and passed in."""

import os
import re
import ssl
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.monitoring.logs import LogFormat
from app.records.image_rules import ImageRules
from app.unknown_settings import PREFIX
from model.detector import VariantChoice
from model.engines.devices import DeviceChoice
from model.engines.engine import EngineChoice
from model.program import program
from model.serving import SERVING

LONGEST_DEADLINE_MS: Final = 60_000
"""So long, at most, does one request keep others waiting."""

_PORT: Final = 8000

Sync = Literal["normal", "full"]

_REMOVED: Final = {"defect_rate", "thresholds"}
"""What each model's serving.json says now, at run time."""

_LISTED: Final = {
    "allowed_hosts": r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:.]+\]",
    "cors_origins": r"https?://[^/\s*]+",
}


class ConfigurationError(Exception):
    """A setting is missing or makes no sense; the text names it."""


_A_DAY: Final = 86_400
"""The longest time that can be set, in seconds: what is meant to be never would be."""


class Settings(BaseSettings):
    """Run the service. Every setting is a flag, as --max-bytes, or an environment variable, as CAMSPECTOR_MAX_BYTES."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_show_env_vars=True,
    )

    store: Annotated[Path, Field(description="Folder of models, as training writes it. It may be empty at first.")]
    host: Annotated[
        str,
        Field(min_length=1, description="Address to listen on; 0.0.0.0 for every interface, :: with IPv6's besides."),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = _PORT
    device: Annotated[
        DeviceChoice, Field(description="Where the network runs; auto: CUDA where there is a device.")
    ] = "auto"
    engine: Annotated[
        EngineChoice,
        Field(description="What runs the network; auto: PyTorch on CUDA, ONNX Runtime on the CPU."),
    ] = "auto"
    variant: Annotated[
        VariantChoice,
        Field(description="Numeric form of the network; auto: the quickest that agrees with float32."),
    ] = "auto"
    default_model: Annotated[
        str | None, Field(description="Model of POST /predict. Without it: the only one that is loaded.")
    ] = None
    max_bytes: Annotated[int, Field(ge=1, description="Largest request body, in bytes.")] = 20_000_000
    max_pixels: Annotated[int, Field(ge=1, description="Largest image, in pixels.")] = 50_000_000
    queue_size: Annotated[int, Field(ge=1, description="Requests being worked on; more are refused with 429.")] = 64
    max_batch: Annotated[int, Field(ge=1, description="Images that go through the network at once, at most.")] = 8
    deadline_ms: Annotated[
        int,
        Field(
            ge=1,
            le=LONGEST_DEADLINE_MS,
            description="Time for a request that has no X-Deadline-Ms header, in milliseconds; 60000 at most.",
        ),
    ] = 5000
    arrival_seconds: Annotated[
        float,
        Field(gt=0, le=_A_DAY, description="Time for a request's headers and body to arrive, from its first byte on."),
    ] = 30.0
    drain_seconds: Annotated[
        float, Field(ge=0, le=_A_DAY, description="After SIGTERM: not ready, but still serving, for so long.")
    ] = 5.0
    shutdown_seconds: Annotated[
        int, Field(ge=0, le=_A_DAY, description="After that: time to finish what is in flight before it is cut off.")
    ] = 10
    stall_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=_A_DAY,
            description="A batch may take this long, or 10 times the slowest so far; then the process ends.",
        ),
    ] = 30.0
    store_poll_seconds: Annotated[float, Field(gt=0, le=_A_DAY, description="How often the store is polled.")] = 5.0
    versions_kept: Annotated[int, Field(ge=1, description="Newest versions of every model that stay loaded.")] = 2
    models_max_bytes: Annotated[
        int,
        Field(
            ge=0,
            description="Memory for models in bytes, estimated: they are loaded when they are asked for. 0: all are.",
        ),
    ] = 0
    root_path: Annotated[str, Field(description="Path prefix that the gateway strips, e.g. /inspection.")] = ""
    trusted_proxies: Annotated[
        str,
        Field(
            description="Addresses or networks, comma-separated, whose X-Forwarded-For and -Proto headers are believed;"
            " * for all."
        ),
    ] = "127.0.0.1,::1"
    log_format: Annotated[LogFormat, Field(description="Lines for people, or objects for programs.")] = "text"
    records: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Where every inspection is recorded: a folder, or the URL of a PostgreSQL database. Without it:"
            " nowhere.",
        ),
    ] = None
    records_wait: Annotated[
        bool, Field(description="Whether a reply is sent only when its record is committed; false: some may be lost.")
    ] = True
    records_sync: Annotated[
        Sync,
        Field(description="Of a folder's records a power failure takes none with full, and with normal the last few."),
    ] = "normal"
    records_images: Annotated[
        str,
        Field(
            description="Which images are kept: all, review (not accepted), every:N or none; for some models, after"
            " commas: MODEL=RULE."
        ),
    ] = "review"
    records_folder: Annotated[
        Path | None,
        Field(description="Folder of images. Without it: below that of the records; with a database's URL, none."),
    ] = None
    records_max_bytes: Annotated[
        int, Field(ge=0, description="Bytes of all images; beyond that the oldest go, labelled ones last.")
    ] = 10_000_000_000
    records_image_days: Annotated[
        int | None, Field(ge=1, description="Days that a image is kept, unless it is labelled; without: no limit.")
    ] = None
    records_days: Annotated[
        int | None, Field(ge=1, description="Days that a record is kept, labelled or not; without: no limit.")
    ] = None
    station: Annotated[
        str, Field(max_length=64, description="Name of the station, in records, log (json), metrics and traces.")
    ] = ""
    line: Annotated[str, Field(max_length=64, description="Name of the production line, in the same places.")] = ""
    trace_endpoint: Annotated[
        str | None, Field(description="Where OpenTelemetry traces go, as http://HOST:4318/v1/traces. Without it: none.")
    ] = None
    keys_file: Annotated[
        Path | None, Field(description="File of API keys. Without it nobody needs one, and nobody is an administrator.")
    ] = None
    trusted_keys: Annotated[
        Path | None,
        Field(description="File of public Ed25519 keys (PEM); versions that none of them signed are refused."),
    ] = None
    tls_certificate: Annotated[
        Path | None, Field(description="File of the certificate and those between it and the root (PEM), for HTTPS.")
    ] = None
    tls_key: Annotated[
        Path | None,
        Field(validate_default=True, description="File of the certificate's key (PEM), without a password."),
    ] = None
    allowed_hosts: Annotated[
        str, Field(description="Host names that clients may use, comma-separated; *.example.com for all below it.")
    ] = ""
    cors_origins: Annotated[
        str, Field(description="Origins of web pages that may ask, comma-separated, e.g. https://line.example.com.")
    ] = ""
    state: Annotated[
        Path | None,
        Field(
            description="Folder for what is to survive a restart: drift and challenge runs. Without it: nothing does."
        ),
    ] = None
    challenge_hours: Annotated[
        float | None,
        Field(gt=0, description="Not ready where a model's last passed challenge run is older, in hours."),
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="Least level logged.")] = (
        "info"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """An empty variable sets nothing: compose's X=${X:-} makes one. An empty flag is a value."""
        return init_settings, EnvSettingsSource(settings_cls, env_ignore_empty=True)

    @field_validator("store", mode="before")
    @classmethod
    def _not_empty(cls, store: object) -> object:
        if store == "":  # which a Path would take for the current folder
            raise ValueError("must not be empty")
        return store

    @field_validator("host")
    @classmethod
    def _bare(cls, host: str) -> str:
        """Without the brackets that an address of IPv6 has in a URL."""
        return host.removeprefix("[").removesuffix("]")

    @field_validator("port", mode="before")
    @classmethod
    def _no_link(cls, port: object) -> object:
        """CAMSPECTOR_PORT=tcp://…, which Kubernetes sets beside a Service named camspector, is no choice of a port."""
        return _PORT if isinstance(port, str) and "://" in port else port

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, path: str) -> str:
        """Without a slash at the end."""
        path = path.rstrip("/")
        if not re.fullmatch(r"(/[^/?#\s]+)*", path):
            raise ValueError("must be a path that begins with a slash, as /inspection")
        return path

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: str) -> str:
        """What uvicorn would never find a proxy's address in is refused, not ignored."""
        for proxy in proxies.split(",") if proxies not in ("", "*") else []:
            try:
                ip_network(proxy.strip())
            except ValueError as error:
                raise ValueError(f"must be addresses or networks, comma-separated, or * alone: {error}") from None
        return proxies

    @field_validator("records_images")
    @classmethod
    def _rules(cls, rules: str) -> str:
        ImageRules.of(rules)
        return rules

    @field_validator("allowed_hosts", "cors_origins")
    @classmethod
    def _names(cls, names: str, info: ValidationInfo) -> str:
        form = _LISTED[info.field_name or ""]
        for name in names.split(",") if names else []:
            if not re.fullmatch(form, name.strip()):
                raise ValueError(f"{name.strip()!r} is none")
        return names

    @field_validator("state")
    @classmethod
    def _writable(cls, state: Path | None) -> Path | None:
        """Tried here: what can't be kept would be missed only after a restart."""
        if state is not None:
            try:
                with TemporaryFile(dir=state):
                    pass
            except OSError as error:
                raise ValueError(f"can't be written: {error.strerror}") from None
        return state

    @field_validator("tls_key")
    @classmethod
    def _certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        """Tried here, so that what is wrong is said before anything is started."""
        certificate = info.data.get("tls_certificate")
        if key is None and certificate is None:
            return None
        if key is None or certificate is None:
            raise ValueError("--tls-certificate and --tls-key need each other")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        except OSError as error:  # also of what isn't a certificate, or not the key's
            raise ValueError(f"can't be used with {certificate}: {error}") from None
        return key


def read_settings(flags: list[str]) -> Settings:
    """Flags over environment over defaults. Raises ConfigurationError; --help and unknown flags raise SystemExit."""
    _refuse_removed(flags)
    return settings_of(_cli_parse_args=flags, _cli_prog_name=f"{program('app')} serve")


def settings_of(**given: Any) -> Settings:
    """What is given over environment over defaults; the store may come from either. Raises ConfigurationError."""
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(_line(str(each["loc"][0]), each["msg"].removeprefix("Value error, ")) for each in error.errors())
        ) from None


def _refuse_removed(flags: list[str]) -> None:
    """Where it would go unnoticed, verdicts would be others. Raises ConfigurationError."""
    given = {flag.partition("=")[0] for flag in flags} | {name.upper() for name, value in os.environ.items() if value}
    for name in sorted(_REMOVED):
        if given & {"--" + name.replace("_", "-"), PREFIX + name.upper()}:
            raise ConfigurationError(
                _line(name, f"is no setting: write it to MODEL/{SERVING}, or PUT it to /v1/admin/models/MODEL/serving")
            )


def _line(name: str, message: str) -> str:
    return f"--{name.replace('_', '-')} (or {PREFIX}{name.upper()}): {message}"
