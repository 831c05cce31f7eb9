"""Debian's chromium without a window, driven by its DevTools protocol over a pipe. It reaches loopback alone."""

import base64
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.support.process import PATIENCE

CHROMIUM: Final = shutil.which("chromium")
NO_CHROMIUM: Final = "needs chromium (Debian package chromium)"
OFFLINE: Final = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""chromium's --host-resolver-rules."""
WIDE: Final = (1280, 800)
PHONE: Final = (390, 844)
PNG: Final = "{ type: 'image/png' }"
CONTROL: Final = 2
SHIFT: Final = 8

_VIRTUAL_KEYS: Final = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Tab": 9,
    "Enter": 13,
    " ": 32,
}


class Browser:
    """One tab. What goes wrong in it is kept: `problems`; what it asks for: `requests`."""

    def __init__(self, process: "subprocess.Popen[bytes]", write: int, read: int) -> None:
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._process, self._write, self._read = process, write, read
        self._number, self._session = 0, ""
        self._replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._chooser: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.send(f"{domain}.enable")
        self.send("Page.setInterceptFileChooserDialog", enabled=True)
        self.resize(*WIDE)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def resize(self, width: int, height: int, density: float = 1) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=density, mobile=False
        )

    def colours(self, scheme: str) -> None:
        """light or dark; at once."""
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.send("Emulation.setEmulatedMedia", features=features)

    def value(self, expression: str) -> Any:
        """Of an expression of JavaScript, awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait for it to become true; its value."""
        attempt = f"(() => {{ try {{ return {expression} }} catch {{ return null }} }})()"
        give_up = time.monotonic() + PATIENCE
        while not (value := self.value(f"((found) => found instanceof Node || found)({attempt})")):
            assert time.monotonic() < give_up, f"{expression}; {self.problems}; {self.text()}"
            time.sleep(0.05)
        return value

    def painted(self) -> None:
        """Wait until what was changed before is on the screen."""
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, text: str, among: str = "button, a") -> None:
        """The middle of the visible element that has this text or name, by the mouse."""
        wanted = json.dumps(text)
        x, y = self.middle(
            f"[...document.querySelectorAll({json.dumps(among)})].find((each) => each.checkVisibility() "
            f"&& !each.disabled && (each.innerText.trim() === {wanted} || each.ariaLabel === {wanted}))"
        )
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def middle(self, element: str) -> tuple[float, float]:
        """Of the element that this expression of JavaScript finds, once it does and stays; it is scrolled to."""
        found = (
            f"((each) => {{ each.scrollIntoView({{ block: 'center' }}); const box = each.getBoundingClientRect(); "
            f"return [box.x + box.width / 2, box.y + box.height / 2]; }})({element})"
        )
        x, y = self.until(found)
        while True:  # what is still being laid out would be missed
            time.sleep(0.1)
            last, (x, y) = (x, y), self.until(found)
            if last == (x, y):
                return x, y

    def drag(self, element: str, by: float) -> None:
        """What this expression finds, so many pixels to the right, by the mouse and in steps."""
        x, y = self.middle(element)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        for step in range(1, 6):
            self.mouse("mouseMoved", x + by * step / 5, y, held=True)
        self.mouse("mouseReleased", x + by, y)

    def mouse(self, kind: str, x: float, y: float, *, held: bool = False) -> None:
        button = "none" if kind == "mouseMoved" and not held else "left"
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=int(held), clickCount=1)

    def press(self, key: str, modifiers: int = 0, *commands: str) -> None:
        """On the keyboard, whatever has the focus. `commands`: what the keys mean to an editor."""
        text = (
            {"text": {"Enter": "\r"}.get(key, key)}
            if (len(key) == 1 and modifiers != CONTROL) or key == "Enter"
            else {}
        )
        code = _VIRTUAL_KEYS.get(key, ord(key[0].upper()))
        keys = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.send("Input.dispatchKeyEvent", type="keyDown", commands=commands, **keys, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **keys)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def choose_files(self, paths: Sequence[Path]) -> None:
        """In the dialog that has just been opened."""
        node = self._chooser.get(timeout=PATIENCE)
        self.send("DOM.setFileInputFiles", files=[str(path) for path in paths], backendNodeId=node)

    def drop_files(self, paths: Sequence[Path], selector: str) -> None:
        x, y = self.middle(f"document.querySelector({json.dumps(selector)})")
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def paste(self, image: Path) -> None:
        """A PNG, from the clipboard."""
        content = base64.b64encode(image.read_bytes()).decode()
        self.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        self.value(
            f"((bytes) => navigator.clipboard.write([new ClipboardItem({{ 'image/png': new Blob([bytes], {PNG}) }})]))"
            f"(Uint8Array.from(atob('{content}'), (each) => each.charCodeAt(0)))"
        )
        self.press("v", CONTROL, "paste")

    def downloaded(self, folder: Path, click: str) -> Path:
        """The file that clicking on this text saves, in an empty folder."""
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.click(click)
        give_up = time.monotonic() + PATIENCE
        while not (found := [path for path in folder.iterdir() if path.suffix != ".crdownload"]):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        return found[0]

    def screenshot(self, path: Path) -> None:
        reply = self.send("Page.captureScreenshot", format=path.suffix.removeprefix("."), quality=80)
        path.write_bytes(base64.b64decode(reply["data"]))

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """The protocol's reply."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while (reply := self._replies.get(timeout=PATIENCE))["id"] != self._number:
            pass
        assert "error" not in reply, (method, reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    def _listen(self) -> None:
        received = b""
        with suppress(OSError):
            while data := os.read(self._read, 1 << 16):
                *messages, received = (received + data).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._replies.put(message)
            return
        event, details = message["method"], message.get("params", {})
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif event == "Page.fileChooserOpened":
            self._chooser.put(details["backendNodeId"])
        elif event == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(details["exceptionDetails"])[:800])
        elif (event == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning")) or (
            event == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert")
        ):
            self.problems.append(json.dumps(details)[:800])


@contextmanager
def browser(folder: Path, *, nice: int = 0) -> Iterator[Browser]:
    """`folder`: for its profile."""
    assert CHROMIUM
    (their_read, our_write), (our_read, their_write) = os.pipe(), os.pipe()
    flags = [
        *["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"],
        *[f"--user-data-dir={folder}", f"--host-resolver-rules={OFFLINE}", "--force-color-profile=srgb"],
        *["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"],
        *["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    ]
    command = ["nice", "-n", str(nice), CHROMIUM, *flags]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{their_read} 4>&{their_write}', "bash", *command],
        pass_fds=(their_read, their_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_read)
    os.close(their_write)
    try:
        yield Browser(process, our_write, our_read)
    finally:
        process.kill()
        process.wait()
        os.close(our_write)
        os.close(our_read)
