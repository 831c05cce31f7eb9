"""One image over a bare socket, as a controller with a TCP function block sends it: HTTP/1.0, 82 bytes and the image.

    python raw_socket.py HOST:PORT IMAGE

Exit status 0: the part passes; 1: it doesn't; 2: no verdict.
"""

import socket
import sys

SECONDS = 15


def inspect(host: str, port: int, image: bytes) -> str:
    """The line. Raises OSError or ValueError where there is none."""
    head = (
        f"POST /predict HTTP/1.0\r\nHost: cam\r\nAccept: text/plain\r\nContent-Length: {len(image):07}\r\n\r\n".encode()
    )
    with socket.create_connection((host, port), timeout=SECONDS) as connection:
        connection.sendall(head + image)
        reply = b""
        while piece := connection.recv(4096):  # the service closes the connection: HTTP/1.0
            reply += piece
    status, _, body = reply.decode("ascii").partition("\r\n\r\n")
    if status.split(" ", 2)[1:2] != ["200"]:
        raise ValueError(status.partition("\r\n")[0] or "no answer")
    return body.rstrip("\n")


def main(address: str, file: str) -> int:
    host, _, port = address.rpartition(":")
    try:
        with open(file, "rb") as opened:
            line = inspect(host, int(port), opened.read())
    except (OSError, ValueError) as error:
        print(f"stop: no verdict: {error}", file=sys.stderr)
        return 2
    fields = line.split(";")  # evaluation, probability, decision, model, version, part id
    passed = len(fields) == 6 and fields[0] == "1"
    print("pass" if passed else "stop", line)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
