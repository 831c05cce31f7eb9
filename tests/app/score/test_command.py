"""`python -m app score`: a table of what the service answers, whatever ends the run."""

import base64
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from app.__main__ import main
from app.score.heatmaps import heatmap_path
from tests.support.artifacts import publish
from tests.support.images import animation, encoded, png_bomb
from tests.support.process import PATIENCE, ROOT, Server

FORMS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
VARYING = {"heatmap", "inference_id", "part_id", "timing_ms"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of every format, and what is none."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "lot 7").mkdir()
    for number in range(20):
        form = FORMS[number % len(FORMS)]
        name = f"{'lot 7/' if number % 3 else ''}Stück {number:02}.{form.lower()}"
        (folder / name).write_bytes(encoded(form, seed=number, size=96 + 50 * number))
    deep = np.arange(96 * 96, dtype=np.uint16).reshape(96, 96) % 4000
    Image.fromarray(deep).save(folder / "16 bits.png")
    Image.fromarray(deep * 16).save(folder / "too bright.png")
    (folder / "animation.webp").write_bytes(animation("WEBP"))
    (folder / "bomb.png").write_bytes(png_bomb())
    (folder / "cut.png").write_bytes(encoded()[:-100])
    (folder / "empty.png").write_bytes(b"")
    (folder / "huge.png").write_bytes(bytes(30_000_000))
    (folder / "order.json").write_text('{"lot": 7}')
    (folder / "notes.txt").write_text("hello")
    return folder


def scored(out: Path, *arguments: object) -> list[dict[str, Any]]:
    """JSON lines of a run that found files without a verdict."""
    assert main(["score", *map(str, arguments), "--out", str(out)]) == 1
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_each_row_is_what_the_service_answers(
    server: Server, capsule_store: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every member, to the digit, and every error by its name; by the pipeline here, or by the service."""
    local = scored(tmp_path / "local.jsonl", parts, "--store", capsule_store, "--device", "cpu")
    assert capsys.readouterr().out.startswith("29 files: ")
    remote = scored(tmp_path / "remote.jsonl", parts, "--server", server.url, "--model", "capsule")
    assert (tmp_path / "remote.jsonl").read_text().count("\n") == 29
    for here, there in zip(local, remote, strict=True):
        content = Path(here["file"]).read_bytes()
        headers = {"Content-Type": "application/octet-stream"}
        reply = httpx.post(f"{server.url}/predict", content=content, headers=headers, timeout=PATIENCE)
        if reply.status_code == 200:
            answer = {name: member for name, member in reply.json().items() if name not in VARYING}
            assert here == there == {"file": here["file"], **answer}
        else:
            assert (
                (here["decision"], here["error"])
                == (there["decision"], there["error"])
                == (None, reply.json()["error"])
            )
    assert {row["error"] for row in local if "error" in row} == {
        "brightness-beyond-scale", "multiple-frames", "image-too-large", "undecodable-image", "empty-image",
        "body-too-large", "missing-field", "unsupported-format",
    }  # fmt: skip


@pytest.mark.parametrize(("flag", "kind"), [("--heatmaps", "gray"), ("--overlays", "overlay")])
def test_heatmaps_are_the_services(
    flag: str, kind: str, server: Server, capsule_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts/lot 7").mkdir(parents=True)
    for name in ("parts/a.png", "parts/a.jpg", "parts/lot 7/a.png"):
        Path(name).write_bytes(encoded("JPEG" if "jpg" in name else "PNG"))
    command = ["score", "parts", "--store", str(capsule_store), "--device", "cpu", "--out", "v.csv", flag, "maps"]
    assert main(command) == 0
    found = sorted(path.relative_to("maps").as_posix() for path in Path("maps").rglob("*") if path.is_file())
    assert found == ["parts/a.jpg.png", "parts/a.png.png", "parts/lot 7/a.png.png"]
    reply = httpx.post(f"{server.url}/predict?heatmap={kind}", content=encoded(), timeout=PATIENCE)
    heatmap = base64.b64decode(reply.json()["heatmap"])
    assert Path("maps/parts/a.png.png").read_bytes() == heatmap


def test_where_heatmaps_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert heatmap_path(Path("maps"), "./lot/a.png") == Path("maps/lot/a.png.png")
    assert heatmap_path(Path("maps"), str(tmp_path / "a.png")) == Path("maps/a.png.png")
    elsewhere = tmp_path.parent / "b.png"
    assert heatmap_path(Path("maps"), "../b.png") == Path("maps") / f"{str(elsewhere)[1:]}.png"


@pytest.fixture(scope="module")
def onnx_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(root, onnx=True)
    return root


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03}.png").write_bytes(encoded(seed=number % 7) if number % 10 else b"none")
    return folder


def command(parts: Path, store: Path, out: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "app",
        "score",
        str(parts),
        "--store",
        str(store),
        "--device",
        "cpu",
        "--out",
        str(out),
    ]


def ended(arguments: list[str], signal_number: signal.Signals, rows: int) -> int:
    """Exit status of a run that is ended after so many rows."""
    out = Path(arguments[arguments.index("--out") + 1])
    journal = out.with_name(f".{out.name}.part")
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + PATIENCE
    while process.poll() is None and (journal.read_bytes().count(b"\n") if journal.exists() else 0) <= rows:
        assert time.monotonic() < give_up
        time.sleep(0.002)
    process.send_signal(signal_number)
    return process.wait(PATIENCE)


def test_killed_and_resumed_it_is_the_same_file(onnx_store: Path, many: Path, tmp_path: Path) -> None:
    subprocess.run(command(many, onnx_store, tmp_path / "whole.csv"), cwd=ROOT, check=False, capture_output=True)
    out = tmp_path / "v.csv"
    resuming = [*command(many, onnx_store, out), "--resume"]
    statuses = [ended(resuming, number, rows) for number, rows in ((signal.SIGKILL, 11), (signal.SIGINT, 47))]
    assert statuses == [-9, 130]
    assert not out.exists()
    done = subprocess.run(resuming, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[1]) == (1, "without a verdict: 12 unsupported-format"), done
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    again = subprocess.run(resuming, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, f"{out} is whole already\n")


def test_a_version_that_comes_meanwhile_changes_nothing(many: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    publish(store, onnx=True)
    out = tmp_path / "v.jsonl"
    ended([*command(many, store, out)], signal.SIGKILL, 20)
    publish(store, onnx=True, slope=5.0)
    assert main([*command(many, store, out)[3:], "--resume"]) == 1
    assert {json.loads(line).get("model_version", 1) for line in out.read_text().splitlines()} == {1}


def test_without_torch(onnx_store: Path, many: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from app.__main__ import main; main(sys.argv[1:])\n"
        "print(*{'torch', 'sqlalchemy', 'training', 'httpx', 'pyarrow'} & sys.modules.keys())"
    )
    arguments = command(many, onnx_store, tmp_path / "v.csv")[3:]
    run = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere", "--out", "v.csv"], "nowhere is not there"),
        ([".", "--out", "v.xlsx"], r"--out v\.xlsx: the name must end in"),
        ([".", "--out", "nowhere/v.csv"], "can't be written"),
        ([".", "--out", "v.csv", "--model", "gizmo"], "no model 'gizmo'"),
        ([".", "--out", "v.csv"], "--model: which.*gadget, widget"),
        ([".", "--out", "v.csv", "--model", "widget", "--version", "9"], "no version 9"),
        ([".", "--out", "v.csv", "--server", "http://localhost:1"], "--server needs --model"),
        ([".", "--out", "v.csv", "--server", "localhost", "--model", "m"], "no address of a service"),
    ],
)
def test_called_wrongly(
    arguments: list[str], reason: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Status 2, a sentence, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMSPECTOR_STORE", str(store))
    assert main(["score", *arguments]) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert [*tmp_path.iterdir()] == []


def test_ctrl_c_while_a_list_is_waited_for(onnx_store: Path, tmp_path: Path) -> None:
    """The list's writer is still there, and silent."""
    (tmp_path / "a.png").write_bytes(encoded())
    arguments = [*command(Path("-"), onnx_store, tmp_path / "v.csv"), "--jobs", "1"]
    process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stderr
    process.stdin.write(f"{tmp_path / 'a.png'}\n" * 2)
    process.stdin.flush()
    journal, give_up = tmp_path / ".v.csv.part", time.monotonic() + PATIENCE
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stderr.read().endswith("score: interrupted; --resume goes on with it\n")
    process.stdin.close()
    process.stderr.close()
