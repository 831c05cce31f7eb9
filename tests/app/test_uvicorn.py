"""Parts of uvicorn and h11 that our server and HTTP protocol use, most of which neither documents: where an
update changes one, both modules are to be read anew."""

import ast
import inspect
import re
import textwrap

import h11
import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.http_protocol import RequestDeadlineProtocol
from app.server import Server

CLASSES: list[tuple[type, type]] = [(Server, uvicorn.Server), (RequestDeadlineProtocol, H11Protocol)]
METHODS: dict[type, dict[str, str]] = {
    uvicorn.Server: {
        "__init__": "self, config",
        "startup": "self, sockets",
        "handle_exit": "self, sig, frame",
        "on_tick": "self, counter",
        "shutdown": "self, sockets",
        "run": "self, sockets",
        "capture_signals": "self",
    },
    H11Protocol: {
        "__init__": "self, config, server_state, app_state, _loop",
        "connection_made": "self, transport",
        "connection_lost": "self, exc",
        "data_received": "self, data",
        "eof_received": "self",
        "pause_writing": "self",
        "on_response_complete": "self",
        "send_400_response": "self, msg",
        "shutdown": "self",
        "_unset_keepalive_if_required": "self",
    },
}
"""Overridden or called, with their parameters."""
ATTRIBUTES: dict[type, set[str]] = {
    uvicorn.Server: {"config", "force_exit", "lifespan", "server_state", "servers", "should_exit"},
    H11Protocol: {"app_state", "conn", "cycle", "flow", "headers", "loop", "scheme", "transport"},
}
WITHIN: dict[str, tuple[type, set[str]]] = {
    "config": (Config, {"http_protocol_class", "is_ssl", "ssl"}),
    "conn": (h11.Connection, {"our_state", "send", "their_state", "trailing_data"}),
    "cycle": (
        RequestResponseCycle,
        {"disconnected", "message_event", "more_body", "response_complete", "response_started", "transport"},
    ),
    "flow": (FlowControl, {"pause_reading", "read_paused", "resume_reading"}),
    "lifespan": (LifespanOn, {"should_exit", "shutdown", "state"}),
    "server_state": (ServerState, {"tasks"}),
}
"""What is used of those attributes."""


def has(kind: type, name: str) -> bool:
    """Whether its objects have that attribute or method."""
    return hasattr(kind, name) or bool(re.search(rf"\bself\.{name}\b(:[^=\n]+)? = ", inspect.getsource(kind)))


@pytest.mark.parametrize("kind", METHODS)
def test_methods(kind: type) -> None:
    for name, parameters in METHODS[kind].items():
        assert ", ".join(inspect.signature(getattr(kind, name)).parameters) == parameters, name


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_attributes(kind: type) -> None:
    assert [name for name in ATTRIBUTES[kind] if not has(kind, name)] == []


@pytest.mark.parametrize("attribute", WITHIN)
def test_attributes_of_attributes(attribute: str) -> None:
    kind, names = WITHIN[attribute]
    assert [name for name in names if not has(kind, name)] == []


@pytest.mark.parametrize(("ours", "theirs"), CLASSES)
def test_all_that_is_used_is_here(ours: type, theirs: type) -> None:
    """And nothing of ours has a name of theirs by accident."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(ours)))
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in used if ast.unparse(node.value) in ("self", "super()")}
    names |= {name for name in vars(ours) if not name.startswith("__")}
    assert {name for name in names if has(theirs, name)} <= METHODS[theirs].keys() | ATTRIBUTES[theirs]
    for attribute, (_, known) in WITHIN.items():
        assert {node.attr for node in used if ast.unparse(node.value) == f"self.{attribute}"} <= known
