"""A web server that lists its folders, as a hub of versions may be, and breaks off when it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class HttpIndex:
    """What it listens on, and which answers it breaks off in the middle of their bodies."""

    url: str
    cut: Callable[[str], bool] = lambda path: False
    """Of a request's path; asked once for each request, by several threads."""

    def cut_once(self, end: str) -> None:
        """The next answer to a path of that end."""
        waiting = [end]

        def cut(path: str) -> bool:
            return path.endswith(end) and bool(waiting) and bool(waiting.pop())

        self.cut = cut


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, index: HttpIndex, **named: Any) -> None:
        self._index = index
        super().__init__(*arguments, **named)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        if self._index.cut(self.path):
            content = content[: len(content) // 2]
            self.close_connection = True
        outputfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def http_index(folder: Path) -> Iterator[HttpIndex]:
    """Of the folder, which is made."""
    folder.mkdir(exist_ok=True)
    index = HttpIndex("")
    handler = partial(_Handler, directory=str(folder), index=index)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index.url = f"http://127.0.0.1:{server.server_port}"
        yield index
        server.shutdown()
