"""Starting `galvatron visualize`, and asking it as a browser or as nobody should."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

SOURCE_DIR = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GALVATRON_BINARY_DIR", SOURCE_DIR / "build" / "release")) / "bin" / "galvatron"
ADDRESS = re.compile(r"http://(?P<host>\[[^]]*\]|[^:/]+):(?P<port>\d+)/(?:\?token=(?P<token>\w+))?")


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        return self.json()["error"]["sentence"]

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Visualizer:
    """A running `galvatron visualize ARGUMENTS`; a with-statement ends it."""

    def __init__(self, *arguments: object, binary: Path = BINARY, **environment: str) -> None:
        self.process = subprocess.Popen(
            [str(binary), "visualize", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            text=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        found = ADDRESS.match(first)
        if found is None:
            _, errors = self.process.communicate(timeout=20)
            raise AssertionError(f"no address: {first!r} {errors}")
        self.address = first.strip()
        self.port = int(found["port"])
        self.token = found["token"]

    def __enter__(self) -> Visualizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code and what it said on standard error."""
        self.process.send_signal(how)
        try:
            _, errors = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, errors

    def connect(self, seconds: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})

    def send(self, data: bytes, seconds: float = 60) -> bytes:
        """What comes back for these bytes, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as talk:
            talk.sendall(data)
            talk.shutdown(socket.SHUT_WR)
            out = b""
            while piece := talk.recv(1 << 16):
                out += piece
            return out


def question(model: Any = "gpt2-tiny", cluster: Any = "8xA100", **options: Any) -> dict[str, Any]:
    return {"model": model, "machine": {"cluster": cluster}, "options": options}
