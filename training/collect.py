"""Labelled images out of a service's inspection records, as a data folder: a folder a kind, names that name the part.

By the service's HTTP API: the records are the contract, whatever database they are in.
"""

import hashlib
import http.client
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from model.errors import DataError
from training.data.inventory import shown

GROUP: Final = "([^/]+)__"
"""--group of the folder: what is before the double underscore, the part."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST: Final = 200
"""Of a part in a file's name, in characters."""
_PAGE: Final = 500
_SECONDS: Final = 60
_SUFFIXES: Final = {"png": "png", "jpeg": "jpg", "bmp": "bmp", "tiff": "tif", "webp": "webp"}


@dataclass(frozen=True)
class Labelled:
    """A record with a label and its image kept."""

    inference_id: str
    part_id: str | None
    label: str
    sha256: str

    @property
    def stem(self) -> str:
        """Of the file: the part, and which of its inspections. No file is hidden, or has a name that is too long."""
        part = quote(self.part_id, safe="").replace("_", "%5F") if self.part_id else self.inference_id
        if len(part) > _LONGEST:
            part = part[: _LONGEST - 12] + hashlib.sha256(part.encode()).hexdigest()[:12]
        return f"{part.replace('.', '%2E', 1) if part[0] == '.' else part}__{self.inference_id}"


class Service:
    """One service's records. Every call may raise DataError."""

    def __init__(self, url: str, key: str | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise DataError(f"--url {url!r} is not the address of a service, as http://host:8000")
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))

    def records(self, model: str) -> Iterator[dict[str, Any]]:
        """All labelled records of a model, the newest first."""
        cursor: dict[str, str] = {}
        while True:
            query = urlencode({"model": model, "labelled": "true", "limit": _PAGE} | cursor)
            page = json.loads(self._get(f"/v1/inspections?{query}")[0])
            yield from page["inspections"]
            if page["next"] is None:
                return
            cursor = {"cursor": page["next"]}

    def image(self, inference_id: str) -> tuple[bytes, str]:
        """The image as it was sent, and the suffix of its file."""
        image, kind = self._get(f"/v1/inspections/{inference_id}/image")
        return image, _SUFFIXES.get(kind.removeprefix("image/"), "bin")

    def _get(self, path: str) -> tuple[bytes, str]:
        """Body and Content-Type."""
        try:
            with self._opener.open(Request(self.url + path, headers=self._headers), timeout=_SECONDS) as reply:
                return reply.read(), reply.headers.get_content_type()
        except HTTPError as error:
            with error:
                raise DataError(f"{self.url} answered {error.code}: {_detail(error.read())}") from None
        except (URLError, OSError, http.client.HTTPException) as error:
            raise DataError(f"{self.url} doesn't answer: {getattr(error, 'reason', error)}") from None


def collect(service: Service, model: str, out: Path, say: Callable[[str], None]) -> None:
    """Write the images of all labelled records of a model into a new folder, which appears when it is whole.

    Raises DataError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{shown(out)} is there already: collect into a new folder")
    records = list(service.records(model))
    kept = [_labelled(record) for record in records if record["image"]["kept"]]
    wanted = _unambiguous(kept, say)
    if len(records) > len(kept):
        say(f"warning: of {len(records) - len(kept)} labelled inspections the image is not kept")
    if not wanted:
        raise DataError(f"{service.url} has no labelled image of model {model!r}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as draft:
        for each in wanted:
            image, suffix = service.image(each.inference_id)
            file = Path(draft, "data", each.label, f"{each.stem}.{suffix}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image)
        Path(draft, "data").chmod(0o777 & ~_umask())
        os.replace(Path(draft, "data"), out)
    counts = Counter(each.label for each in wanted)
    say(f"{shown(out)}: " + ", ".join(f"{count} {label}" for label, count in sorted(counts.items())))
    say(f"train on it with --data {shown(out)} --group '{GROUP}', which keeps each part's images together")


def _labelled(record: dict[str, Any]) -> Labelled:
    """Raises DataError for names that would lead out of the folder."""
    inference_id, label = record["inference_id"], record["labelled"]["label"]
    if not (_NAME.fullmatch(inference_id) and _NAME.fullmatch(label)):
        raise DataError(f"inspection {inference_id!r} has the label {label!r}, which is no folder's name")
    return Labelled(inference_id, record["part_id"], label, record["image"]["sha256"])


def _unambiguous(records: list[Labelled], say: Callable[[str], None]) -> list[Labelled]:
    """Each image once; none of those that have several labels."""
    labels: dict[str, set[str]] = {}
    for record in records:
        labels.setdefault(record.sha256, set()).add(record.label)
    for sha256, several in labels.items():
        if len(several) > 1:
            ids = " and ".join(record.inference_id for record in records if record.sha256 == sha256)
            say(f"warning: left out, as the same image is labelled {' and '.join(sorted(several))}: {ids}")
    return list({record.sha256: record for record in records if len(labels[record.sha256]) == 1}.values())


def _umask() -> int:
    os.umask(mask := os.umask(0))
    return mask


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason is given"
