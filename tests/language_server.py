"""A client of yaml-language-server that is small enough for tests: JSON-RPC over its standard streams."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any


def found_server() -> str | None:
    """The server of SYNSIM_YAML_LANGUAGE_SERVER, else that on the PATH."""
    return os.environ.get("SYNSIM_YAML_LANGUAGE_SERVER") or shutil.which("yaml-language-server")


class LanguageServer:
    """One server and one open document at a time; the position asked for is marked by `^` in the text."""

    def __init__(self, command: str, folder: Path):
        self.folder = folder
        runs = ["node", command] if command.endswith(".js") else [command]
        self.process = subprocess.Popen(
            [*runs, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self.came: queue.Queue[dict[str, Any]] = queue.Queue()
        self.number = 0
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask("initialize", processId=os.getpid(), rootUri=folder.as_uri(), capabilities=CAPABILITIES)
        self.tell("initialized")
        self.tell("workspace/didChangeConfiguration", settings=SETTINGS)

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                return
            self.came.put(json.loads(stream.read(length)))

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a request; what the server asks meanwhile is answered."""
        self.number += 1
        number = self.number
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _next(self) -> dict[str, Any]:
        message = self.came.get(timeout=60)
        if "method" in message and "id" in message:
            settings = [SETTINGS.get(item.get("section")) for item in message["params"].get("items", [])]
            result = settings if message["method"] == "workspace/configuration" else None
            self._send({"id": message["id"], "result": result})
        return message

    def open(self, text: str) -> list[dict[str, Any]]:
        """Open a document; what the server says is wrong with it."""
        self.number += 1
        self.uri = (self.folder / f"config{self.number}.yaml").as_uri()
        document = {"uri": self.uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == self.uri:
                return message["params"]["diagnostics"]

    def at(self, method: str, marked: str) -> Any:
        """The answer to a request about the place of `^` in a text."""
        before, _, after = marked.partition("^")
        self.open(before + after)
        lines = before.split("\n")
        position = {"line": len(lines) - 1, "character": len(lines[-1])}
        return self.ask(f"textDocument/{method}", textDocument={"uri": self.uri}, position=position)

    def completions(self, marked: str) -> dict[str, dict[str, Any]]:
        """What is offered, by label."""
        given = self.at("completion", marked)
        items = given["items"] if isinstance(given, dict) else given
        return {item["label"]: item for item in items}

    def hover(self, marked: str) -> str:
        """What is shown, as text."""
        given = self.at("hover", marked)
        return given["contents"]["value"] if given else ""

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


CAPABILITIES = {
    "textDocument": {
        "completion": {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": True}},
        "hover": {"contentFormat": ["markdown"]},
    },
    "workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}},
}
SETTINGS: dict[str, Any] = {
    "yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}},
    "http": {"proxy": "", "proxyStrictSSL": False},
}
