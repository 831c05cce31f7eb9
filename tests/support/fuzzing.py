"""Mutated requests, sent to a real process several at a time."""

import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final

from tests.support.mutations import Case, case
from tests.support.process import Server

FLAGS: Final = ("--deadline-ms", "60000", "--arrival-seconds", "1")
"""No request is refused or given up for want of time; one whose head announces more than comes is, soon."""
CLIENTS: Final = 8
LIMIT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case: its status, 0 for a connection closed without an answer."""

    number: int
    kind: str
    status: int
    seconds: float

    @property
    def failure(self) -> str | None:
        """What is wrong with that; None: nothing."""
        if self.seconds > LIMIT_SECONDS:
            return f"took {self.seconds:.1f} s"
        if self.status >= 500:
            return f"status {self.status}"
        if self.status == 0 and self.kind != "headers":  # a broken head may never become a request
            return "no answer"
        return None


def send(address: tuple[str, int], case: Case) -> Outcome:
    """Send it on a connection of its own and read the whole answer."""
    began = time.perf_counter()
    status = 0
    with socket.create_connection(address, LIMIT_SECONDS) as connection:
        try:
            with suppress(ConnectionError):  # refused in the middle of the request
                connection.sendall(case.data)
            with HTTPResponse(connection, method="POST") as answer:
                answer.begin()
                answer.read()
                status = answer.status
        except TimeoutError:
            return Outcome(case.number, case.kind, 0, LIMIT_SECONDS + 1)
        except (ConnectionError, HTTPException):
            pass
    return Outcome(case.number, case.kind, status, time.perf_counter() - began)


def fuzz(server: Server, seed: int, numbers: Iterable[int]) -> list[Outcome]:
    """Send the cases, several at a time."""
    host, port = server.url.removeprefix("http://").split(":")
    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(lambda number: send((host, int(port)), case(seed, number)), numbers))
