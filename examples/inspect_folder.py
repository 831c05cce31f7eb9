"""Post every picture of a folder to a running service and print its verdict; needs Python alone.

python examples/inspect_folder.py parts/ [http://localhost:8000/v1/models/capsule/predict]
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote


def inspect(photo: Path, url: str) -> str:
    """The verdict on one picture, or why there is none, in a line."""
    headers = {"X-Part-ID": quote(photo.stem), "X-Deadline-Ms": "30000"}
    request = urllib.request.Request(f"{url}?heatmap=none", photo.read_bytes(), headers)
    try:
        with urllib.request.urlopen(request) as reply:
            verdict = json.load(reply)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        return f"{photo.name}: {problem['error']}: {problem['detail']}"
    return f"{photo.name}: {verdict['decision']} (probability of a defect {verdict['probability']:.3f})"


def main(folder: Path, url: str = "http://localhost:8000/predict") -> None:
    for photo in sorted(folder.iterdir()):
        print(inspect(photo, url))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
