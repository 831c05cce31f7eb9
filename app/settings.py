"""Every setting of the service: from a flag, else the environment, else the default; read once and passed in."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from model.engines.engine import DeviceChoice

Share = Annotated[float, Field(gt=0, lt=1)]

LONGEST_DEADLINE_MS: Final = 60_000
"""Whoever sends slowly holds one of the places for so long at most."""


class ConfigurationError(Exception):
    """A setting is missing or makes no sense; the text names it."""


class Settings(BaseSettings):
    """Run the service. Every setting is a flag, as --max-bytes, or an environment variable, as CAMSPECTOR_MAX_BYTES."""

    model_config = SettingsConfigDict(
        env_prefix="CAMSPECTOR_",
        frozen=True,
        extra="forbid",
        cli_prog_name="python -m app serve",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_show_env_vars=True,
    )

    store: Annotated[Path, Field(description="Folder of models, as training writes it. It may be empty at first.")]
    host: Annotated[str, Field(description="Address to listen on; 0.0.0.0 for every interface.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    device: Annotated[
        DeviceChoice, Field(description="Where the network runs; auto: CUDA where there is a device.")
    ] = "auto"
    default_model: Annotated[
        str | None, Field(description="Model of POST /predict. Without it: the only one that is loaded.")
    ] = None
    defect_rate: Annotated[
        dict[str, Share],
        Field(description="The line's share of defects by model, e.g. capsule=0.02. Without it: the training data's."),
    ] = {}
    max_bytes: Annotated[int, Field(ge=1, description="Largest request body, in bytes.")] = 20_000_000
    max_pixels: Annotated[int, Field(ge=1, description="Largest image, in pixels.")] = 50_000_000
    queue_size: Annotated[
        int, Field(ge=1, description="Requests being received or worked on; more are refused with 429.")
    ] = 64
    max_batch: Annotated[int, Field(ge=1, description="Images that go through the network at once, at most.")] = 8
    deadline_ms: Annotated[
        int,
        Field(
            ge=1,
            le=LONGEST_DEADLINE_MS,
            description="Time for a request that has no X-Deadline-Ms header, in milliseconds; 60000 at most.",
        ),
    ] = 5000
    drain_seconds: Annotated[
        float, Field(ge=0, description="After SIGTERM: not ready, but still serving, for so long.")
    ] = 5.0
    shutdown_seconds: Annotated[
        int, Field(ge=0, description="After that: time to finish what is in flight before it is cut off.")
    ] = 10
    store_poll_seconds: Annotated[float, Field(gt=0, description="How often the store is looked at.")] = 5.0
    versions_kept: Annotated[int, Field(ge=1, description="Newest versions of every model that stay loaded.")] = 2
    root_path: Annotated[
        str, Field(pattern="^(/[^/]+)*$", description="Path prefix that the gateway strips, e.g. /inspection.")
    ] = ""
    trusted_proxies: Annotated[
        str,
        Field(
            description="Addresses or networks, comma-separated, whose X-Forwarded-For and -Proto headers are believed;"
            " * for all."
        ),
    ] = "127.0.0.1"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="Least level logged.")] = (
        "info"
    )

    @field_validator("store", mode="before")
    @classmethod
    def _not_empty(cls, store: object) -> object:
        if store == "":  # which a Path would take for the current folder
            raise ValueError("must not be empty")
        return store

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


def read_settings(flags: list[str]) -> Settings:
    """Flags over environment over defaults. Raises ConfigurationError; --help and unknown flags raise SystemExit."""
    try:
        return Settings(_cli_parse_args=flags)  # type: ignore[call-arg]  # store may come from a flag or the environment
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(
                _line(str(fault["loc"][0]), fault["msg"].removeprefix("Value error, ")) for fault in error.errors()
            )
        ) from None
    except SettingsError:  # of the only one that isn't a plain value
        raise ConfigurationError(_line("defect_rate", "can't be read")) from None


def _line(name: str, message: str) -> str:
    flag, variable = "--" + name.replace("_", "-"), "CAMSPECTOR_" + name.upper()
    form = f"; write {flag} capsule=0.02, or {variable}='{{\"capsule\": 0.02}}'" if name == "defect_rate" else ""
    return f"{flag} (or {variable}): {message}{form}"
