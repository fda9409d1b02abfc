"""Firefox as Debian ships it, through WebDriver BiDi: Playwright drives only patched builds.

Protocol: https://www.w3.org/TR/webdriver-bidi/
"""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.web.browser.boxes import SETTLED, Box, parsed

PATIENCE_S = 60
_LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
# Polled by the browser's own clock until it holds.
_WAIT = """new Promise((resolve) => {{
    const look = () => ({condition}) ? resolve(true) : setTimeout(look, 50);
    look();
}})"""


class Firefox:
    """One tab of a running Firefox."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self.send("session.new", capabilities={})
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(PATIENCE_S))
            if message.get("id") == number:
                assert message["type"] == "success", message
                result: dict[str, Any] = message["result"]
                return result
            self._events.append(message)

    def event(self, method: str) -> dict[str, Any]:
        """The parameters of the next event of this name, which must be subscribed to."""
        while True:
            for event in self._events:
                if event.get("method") == method:
                    self._events.remove(event)
                    params: dict[str, Any] = event["params"]
                    return params
            self._events.append(json.loads(self._socket.recv(PATIENCE_S)))

    def events(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the events of this name so far."""
        return [event["params"] for event in self._events if event.get("method") == method]

    def open(self, url: str) -> None:
        self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression: a string, number or boolean, or a node's reference."""
        answer = self.send(
            "script.evaluate",
            expression=expression,
            target={"context": self.context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        result = answer["result"]
        return result.get("value") if result["type"] != "node" else result

    def wait_for(self, condition: str) -> None:
        """Wait until an expression holds in the page."""
        self.evaluate(_WAIT.format(condition=condition))

    def box(self, selector: str) -> Box:
        """Where an element is, once it has come to rest."""
        (box,) = parsed(self.evaluate(f"({SETTLED})({json.dumps([selector])})"))
        return box

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an `<input type=file>`."""
        node = self.evaluate(f"document.querySelector('{selector}')")
        self.send(
            "input.setFiles",
            context=self.context,
            element={"sharedId": node["sharedId"]},
            files=[str(file) for file in files],
        )

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector('{selector}').click()")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse, move it and let it go, in CSS px of the window."""
        moves = [
            {"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in (start, end, end)
        ]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:]]
        source = {
            "type": "pointer",
            "id": "mouse",
            "parameters": {"pointerType": "mouse"},
            "actions": [*actions, {"type": "pointerUp", "button": 0}],
        }
        self.send("input.performActions", context=self.context, actions=[source])


@contextmanager
def running_firefox(program: str, folder: Path) -> Iterator[Firefox]:
    """A headless Firefox with a profile in `folder`, which downloads into `folder` as well."""
    profile = folder / "profile"
    profile.mkdir()
    preferences = {
        "browser.download.dir": str(folder),
        "browser.download.folderList": 2,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "intl.accept_languages": "en-US",
        "remote.active-protocols": 1,
    }
    lines = (
        f"user_pref({json.dumps(key)}, {json.dumps(preferences[key])});" for key in preferences
    )
    (profile / "user.js").write_text("\n".join(lines))
    command = [program, "--headless", "--no-remote", "--profile", str(profile)]
    with subprocess.Popen(
        [*command, "--remote-debugging-port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            found = next(filter(None, map(_LISTENS.search, process.stderr)))
            with connect(f"{found[1]}/session", max_size=None) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
