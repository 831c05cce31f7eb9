"""The contract of the three predict routes, over the real application and a real engine."""

import base64
import gzip
import io
import json
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from model.detector import Detector, load_detector
from model.regions import find_regions
from model.verdict import sigmoid
from tests.support.images import encoded, five_megabytes

pytestmark = pytest.mark.anyio

MEMBERS = {
    "label", "probability", "heatmap", "decision", "inspectable", "odd", "typicality", "log_odds", "thresholds",
    "model", "model_version", "inference_id",
    "part_id", "image", "regions", "timing_ms",
}  # fmt: skip


async def test_reply_is_the_detectors_verdict(client: httpx.AsyncClient, store: Path) -> None:
    data = encoded("JPEG", size=200)
    reply = (await client.post("/v1/models/widget/predict", content=data)).json()
    detector = load_detector(store / "widget" / "2", "cpu")
    output = detector.run(detector.read_image(data).pixels)
    evidence = output.evidence
    verdict = detector.verdict(evidence)
    assert reply.keys() == MEMBERS
    assert reply["probability"] == pytest.approx(verdict.probability, abs=1e-5)
    assert reply["probability"] == pytest.approx(sigmoid(reply["log_odds"]))
    assert (reply["label"], reply["decision"]) == (verdict.label, verdict.decision)
    assert reply["thresholds"] == {"review": 0.3, "label": 0.42, "reject": 0.6}
    assert (reply["model"], reply["model_version"]) == ("widget", 2)
    assert reply["image"] == {"width": 200, "height": 200}
    assert reply["timing_ms"].keys() == {"decode", "queue", "predict", "render"}
    heatmap = np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["heatmap"]))), dtype=np.int16)
    assert np.abs(heatmap - np.rint(255 * detector.heatmap(output))).max() <= 1
    expected = find_regions(detector.heatmap(output), 200, 200)
    assert len(reply["regions"]) == len(expected)
    for region, found in zip(expected, reply["regions"], strict=True):
        assert found["box"].keys() == {"left", "top", "width", "height"}
        assert found["score"] == pytest.approx(region.score, abs=1e-4)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WebP"])
async def test_three_forms_of_upload_agree(client: httpx.AsyncClient, form: str) -> None:
    data = encoded(form)
    forms: list[dict[str, object]] = [
        {"files": {"file": ("part.jpg", data, "image/jpeg")}},
        {"data": {"other": "1"}, "files": {"file": ("part", data)}},
        {"content": data, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": data, "headers": {"Content-Type": "application/json"}},
        {"content": data, "headers": {"Content-Type": "multipart/form-data"}},
        {"content": data},
        {"json": {"image": {"b64": base64.b64encode(data).decode()}}},
    ]
    replies = [await client.post("/predict", **form) for form in forms]  # type: ignore[arg-type]
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["probability"] for reply in replies}) == 1


TEXT = base64.b64encode(encoded()).decode()
JSON = json.dumps({"image": {"b64": TEXT}}).encode()
DISPOSITION = b'Content-Disposition: form-data; name="file"; filename="a.png"'
FORM = {"Content-Type": "multipart/form-data; boundary=B"}


def parted(disposition: bytes = DISPOSITION, *, before: bytes = b"", after: bytes = b"", data: bytes = b"") -> bytes:
    """A form with one field."""
    return before + b"--B\r\n" + disposition + b"\r\n\r\n" + (data or encoded()) + b"\r\n--B--\r\n" + after


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xef\xbb\xbf" + JSON, {"Content-Type": "application/json"}),
        (b"\xef\xbb\xbf" + JSON, {}),
        (json.dumps({"image": {"b64": base64.encodebytes(encoded()).decode()}}).encode(), {}),
        (json.dumps({"image": {"b64": TEXT.replace("A", "A\r\n")}}).encode(), {}),
        (json.dumps({"image": {"b64": f"data:image/png;base64,{TEXT}"}}).encode(), {}),
        (json.dumps({"image": {"b64": f"DATA:image/png;name=a;BASE64,{TEXT}"}}).encode(), {}),
        (parted(), FORM),
        (parted(before=b"This is a multi-part message in MIME format.\r\n"), FORM),
        (parted(before=b"\r\n"), FORM),
        (parted(before=b"--Bx\r\n no boundary\r\n"), FORM),
        (parted(after=b"an epilogue\r\n--B\r\n"), FORM),
        (parted().removesuffix(b"\r\n"), FORM),
        (parted().replace(b"--B\r", b"--B \t\r"), FORM),
        (parted(b'Content-Disposition: form-data;\r\n name="file";\r\n\tfilename="a.png"'), FORM),
        (parted(b"content-disposition:form-data; name=file; filename*=UTF-8''%C3%A4.png"), FORM),
        (
            parted(b'Content-Type: image/png\r\nContent-Disposition: form-data; filename="a;b\\".png"; name="file"'),
            FORM,
        ),
        (parted(DISPOSITION + b"\r\nContent-Transfer-Encoding: binary"), FORM),
        (parted(DISPOSITION + b"\r\nContent-Transfer-Encoding: BASE64", data=base64.encodebytes(encoded())), FORM),
        (parted(), {"Content-Type": 'Multipart/Form-Data; charset=utf-8; Boundary="B"'}),
        (parted().replace(b"--B", b"--a b:c"), {"Content-Type": 'multipart/form-data; boundary="a b:c"'}),
        (parted(before=b"--B\r\n\r\nno headers\r\n"), FORM),
        (gzip.compress(encoded()), {"Content-Encoding": "gzip"}),
        (gzip.compress(encoded()), {"Content-Encoding": "X-GZip"}),
        (zlib.compress(encoded()), {"Content-Encoding": "Deflate"}),
        (encoded(), {"Content-Encoding": "identity"}),
        (encoded(), {"Content-Encoding": ""}),
        (gzip.compress(encoded()), {"Content-Encoding": "identity, GZIP"}),
        (gzip.compress(JSON), {"Content-Encoding": "gzip", "Content-Type": "application/json"}),
        (gzip.compress(parted()), {"Content-Encoding": "gzip"} | FORM),
    ],
)
async def test_upload_as_clients_write_it(client: httpx.AsyncClient, body: bytes, headers: dict[str, str]) -> None:
    expected = (await client.post("/predict", content=encoded())).json()["probability"]
    reply = await client.post("/predict", content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.json()["probability"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (None, None),
        ("part-4711", "part-4711"),
        ("part%204711", "part 4711"),
        ("Pr%C3%BCfling%E2%82%AC", "Prüfling€"),
        ("100%", "100%"),
        ('a"b\\', 'a"b\\'),
        ("x" * 128, "x" * 128),
        ("%F0%9F%94%A9" * 128, "🔩" * 128),
        ("UTF-8''part%204711", "part 4711"),
        ("utf-8'de'Stra%C3%9Fe", "Straße"),
    ],
)
async def test_part_id(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, sent: str | None, text: str | None
) -> None:
    """Echoed and logged as it was sent; what it means stands in the reply."""
    caplog.set_level("INFO")
    headers = {} if sent is None else {"X-Part-ID": sent}
    for path in ("/predict", "/predict?heatmap=overlay"):
        reply = await client.post(path, content=encoded(), headers=headers)
        assert (reply.headers.get("x-part-id"), reply.json()["part_id"]) == (sent, text)
    reply = await client.post("/predict", content=encoded(), headers=headers | {"Accept": "image/png"})
    assert reply.headers.get("x-part-id") == sent
    (line, *_) = [message for message in caplog.messages if "route=/predict" in message]
    assert (f" part_id={sent} " in line) == (sent is not None)


async def test_json_is_understood_under_curls_own_content_type(client: httpx.AsyncClient) -> None:
    body = b'{"image": {"b64": "%s"}}' % base64.b64encode(encoded())
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/predict", content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("path", "model", "version"),
    [
        ("/predict", "widget", 2),
        ("/v1/models/gadget/predict", "gadget", 1),
        ("/v1/models/widget/predict", "widget", 2),
        ("/v1/models/widget/versions/1/predict", "widget", 1),
    ],
)
async def test_model_and_version(client: httpx.AsyncClient, path: str, model: str, version: int) -> None:
    reply = (await client.post(path, content=encoded())).json()
    assert (reply["model"], reply["model_version"]) == (model, version)


async def test_versions_differ(client: httpx.AsyncClient) -> None:
    log_odds = [
        (await client.post(f"/v1/models/widget/versions/{version}/predict", content=encoded())).json()["log_odds"]
        for version in (1, 2)
    ]
    assert log_odds[0] == pytest.approx(2 * log_odds[1])


async def test_every_verdict_has_its_own_id(client: httpx.AsyncClient) -> None:
    replies = [await client.post("/predict", content=encoded()) for _ in range(2)]
    assert len({reply.json()["inference_id"] for reply in replies}) == 2


@pytest.mark.parametrize(("heatmap", "size", "mode"), [("map", 4, "L"), ("gray", 64, "L"), ("overlay", 96, "RGB")])
async def test_heatmap(client: httpx.AsyncClient, heatmap: str, size: int, mode: str) -> None:
    reply = (await client.post(f"/predict?heatmap={heatmap}", content=encoded())).json()
    png = Image.open(io.BytesIO(base64.b64decode(reply["heatmap"])))
    assert (png.format, png.size, png.mode) == ("PNG", (size, size), mode)


async def test_the_map_is_the_heatmap_before_it_is_enlarged(client: httpx.AsyncClient) -> None:
    """Enlarged by the client it is the gray one, but for the rounding of values and of a scale that isn't linear."""
    small, gray = [
        Image.open(
            io.BytesIO(
                base64.b64decode((await client.post(f"/predict?heatmap={kind}", content=encoded())).json()["heatmap"])
            )
        )
        for kind in ("map", "gray")
    ]
    enlarged = np.asarray(small.resize(gray.size, Image.Resampling.BILINEAR), np.float32)
    assert np.corrcoef(enlarged.ravel(), np.asarray(gray, np.float32).ravel())[0, 1] > 0.95


async def test_without_regions(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't asked for isn't computed; the verdict is the same."""
    whole = (await client.post("/predict", content=encoded())).json()
    assert whole["regions"]
    monkeypatch.setattr("app.inference.pipeline.find_regions", lambda *_: pytest.fail("computed"))
    gray = (await client.post("/predict?regions=false", content=encoded())).json()
    assert (gray["regions"], gray["heatmap"]) == ([], whole["heatmap"])
    monkeypatch.setattr(Detector, "heatmap", lambda *_: pytest.fail("computed"))
    small = (await client.post("/predict?regions=false&heatmap=map", content=encoded())).json()
    assert small["heatmap"] is not None
    bare = (await client.post("/predict?regions=false&heatmap=none", content=encoded())).json()
    assert (bare["regions"], bare["heatmap"]) == ([], None)
    assert bare["probability"] == whole["probability"]


async def test_no_heatmap(client: httpx.AsyncClient) -> None:
    assert (await client.post("/predict?heatmap=none", content=encoded())).json()["heatmap"] is None


async def test_png_instead_of_json(client: httpx.AsyncClient) -> None:
    reply = await client.post("/predict", content=encoded(), headers={"Accept": "image/png"})
    verdict = (await client.post("/predict", content=encoded())).json()
    assert reply.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(reply.content)).size == (96, 96)
    assert reply.headers["x-camspector-label"] == verdict["label"]
    assert reply.headers["x-camspector-decision"] == verdict["decision"]
    assert float(reply.headers["x-camspector-probability"]) == pytest.approx(verdict["probability"], rel=1e-4)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("IMAGE/PNG", "image/png"),
        ("image/png;q=0.5, */*;q=0.1", "image/png"),
        ("image/png, application/json", "application/json"),
        ("image/png;q=0", "application/json"),
        ("image/png; q=0.000, */*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_what_is_accepted(client: httpx.AsyncClient, accept: str, kind: str) -> None:
    reply = await client.post("/predict", content=encoded(), headers={"Accept": accept})
    assert reply.headers["content-type"] == kind


async def test_sixteen_bit_gray(client: httpx.AsyncClient) -> None:
    """An overlay on it too."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(buffer, "PNG")
    assert (await client.post("/predict?heatmap=overlay", content=buffer.getvalue())).status_code == 200


async def test_size_is_that_of_the_exif_transposed_image(client: httpx.AsyncClient) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    Image.new("RGB", (60, 40)).save(buffer, "JPEG", exif=exif)
    reply = (await client.post("/predict", content=buffer.getvalue())).json()
    assert reply["image"] == {"width": 40, "height": 60}


async def test_upload_needs_no_temporary_directory(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    for form in ({"files": {"file": five_megabytes()}}, {"content": five_megabytes()}):
        assert (await client.post("/predict", **form)).status_code == 200
