"""Authentication: the Host header and the API key, checked before anything of a request is read."""

from typing import Final

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.addresses import PROBES, PUBLIC, path_of
from app.errors import KeyMissingError, KeyUnknownError, UnknownHostError, refusal
from app.middleware.keys import Key
from app.monitoring.request_record import current
from app.service import Service
from model.errors import CamspectorError

METHODS: Final = "GET, HEAD, POST, PUT, OPTIONS"
"""Methods that some address or other has."""


class Auth:
    """ASGI middleware that refuses unknown hosts, and requests without a known key where one is needed."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if scope["method"] == "OPTIONS" and path_of(scope) == "*":  # of the service as a whole (RFC 9110, 9.3.7)
            await Response(status_code=204, headers={"Allow": METHODS})(scope, receive, send)
            return
        try:
            key = self._check(request)
        except CamspectorError as error:
            await refusal(request, error)(scope, receive, send)
        else:
            scope["state"]["key"] = key
            if key and (record := current.get()):
                record.key = key.name
            await self._app(scope, receive, send)

    def _check(self, request: Request) -> Key | None:
        """The request's key; None where none is needed. Raises AccessError."""
        path = path_of(request.scope)
        hosts = self._service.settings.allowed_hosts
        if hosts and path not in PROBES and not _is_allowed(request.headers.get("host", ""), hosts):
            raise UnknownHostError("the Host header names no host of this service")
        if path in PUBLIC or not self._service.keyring.needed:
            return None
        secret = _secret(request)
        if not secret:
            raise KeyMissingError("send an API key: Authorization: Bearer KEY, or X-API-Key: KEY")
        key = self._service.keyring.find(secret)
        if key is None:
            raise KeyUnknownError("the API key is unknown, or was withdrawn")
        return key


def _secret(request: Request) -> str:
    """The key in the headers, unchecked; empty: there is none."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")


def _is_allowed(host: str, hosts: str) -> bool:
    """`hosts`: names, comma-separated; *.example.com is every name below example.com."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
    allowed = [pattern.strip().lower() for pattern in hosts.split(",")]
    return name.lower() in allowed or any(name.lower().endswith(each[1:]) for each in allowed if each[:2] == "*.")
