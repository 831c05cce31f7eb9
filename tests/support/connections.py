"""Requests written to a socket by hand."""

import socket
from contextlib import suppress

import httpx

from tests.support.process import PATIENCE, Server


def send_half(server: Server, data: bytes) -> socket.socket:
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 80), timeout=PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: camspector\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data[:100])
    return connection


def answer_to_other_half(connection: socket.socket, data: bytes) -> bytes:
    with connection:
        connection.sendall(data[100:])
        return b"".join(iter(lambda: connection.recv(65536), b""))


def talk(server: Server, *pieces: bytes) -> bytes:
    """What comes back for raw bytes until the server closes the connection."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE) as connection:
        with suppress(ConnectionError):  # refused in the middle
            for piece in pieces:
                connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))
