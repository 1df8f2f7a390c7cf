"""A real Chromium, driven by its DevTools protocol over a websocket: no further package is needed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

#: Where Debian and others install it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {
    "Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": ("Space", 32, " "), "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowDown": ("ArrowDown", 40, ""),
}  # fmt: skip


def find() -> str | None:
    """The browser's path; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A headless browser with a profile of its own in `directory`. Kill it at the end."""

    def __init__(self, program: str, directory: Path) -> None:
        options = [
            "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={directory}", "--no-first-run", "--no-sandbox",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-default-apps", "--hide-scrollbars", "--force-color-profile=srgb", "--no-proxy-server",
        ]  # fmt: skip
        self.log = directory / "chromium.log"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "DevToolsActivePort").unlink(missing_ok=True)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, *options, "about:blank"], stdout=output, stderr=output, start_new_session=True
            )
        self.endpoint = self._endpoint(directory / "DevToolsActivePort")

    def _endpoint(self, written: Path) -> str:
        deadline = time.monotonic() + 30
        while not (written.exists() and len(lines := written.read_text().split("\n")) > 1):
            assert self._process.poll() is None, self.log.read_text(errors="replace")
            assert time.monotonic() < deadline, "Chromium does not open its port"
            time.sleep(0.05)
        return f"ws://127.0.0.1:{lines[0]}{lines[1]}"

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


class Page:
    """One tab in a context of its own. `requests`: URLs that it has asked for; `complaints`: errors that it has met."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session = ""
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            got = json.loads(message.data)
            if "id" in got:
                self._answers.pop(got["id"]).set_result(got)
            else:
                self._noted(got["method"], got.get("params", {}))

    def _noted(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; returns its result."""
        number = next(self._ids)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        more = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": params, **more})
        answer = await asyncio.wait_for(future, 60)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    async def attach(self) -> None:
        context = await self.send("Target.createBrowserContext", disposeOnDetach=True)
        target = await self.send("Target.createTarget", url="about:blank", browserContextId=context["browserContextId"])
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.send(f"{domain}.enable")

    async def goto(self, url: str) -> None:
        await self.send("Page.navigate", url=url)
        await self.until("location.href !== 'about:blank' && document.readyState === 'complete'")

    async def run(self, expression: str) -> Any:
        """The value of a JavaScript expression (promises awaited), as JSON carries it."""
        got = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    async def until(self, expression: str, accept: Callable[[Any], bool] = bool, seconds: float = 60.0) -> Any:
        """The value of the expression, once it is accepted."""
        deadline = time.monotonic() + seconds
        while not accept(found := await self.run(expression)):
            if time.monotonic() > deadline:
                shown = await self.run("document.body.innerText")
                raise AssertionError(f"{expression} is {found!r}\ncomplaints: {self.complaints}\n{shown}")
            await asyncio.sleep(0.05)
        return found

    async def press(self, key: str, *, shift: bool = False) -> None:
        code, number, text = KEYS[key]
        for kind in ("rawKeyDown" if not text else "keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.send(
                "Input.dispatchKeyEvent", type=kind, key=text if key == "Space" else key, code=code,
                windowsVirtualKeyCode=number, modifiers=8 if shift else 0, **more,
            )  # fmt: skip

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def look(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """A screen of that width, in one of the two schemes."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def screenshot(self, *, whole: bool = True) -> bytes:
        """The whole page as PNG, or the part that is seen without scrolling."""
        shot = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def opened(browser: Chromium) -> AsyncIterator[Page]:
    """A new tab, closed at the end."""
    async with aiohttp.ClientSession() as session, session.ws_connect(browser.endpoint, max_msg_size=0) as socket:
        page = Page(socket)
        listening = asyncio.create_task(page.listen())
        try:
            await page.attach()
            yield page
        finally:
            listening.cancel()
