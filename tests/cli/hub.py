"""A small Hugging Face Hub on this machine: it takes a repository and commits, and remembers them."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub(ThreadingHTTPServer):
    """The server, with what it was sent.

    Args:
        token: Requests with another one are refused.
    """

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.token = token
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.summary = ""

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running(token: str) -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    with Hub(token) as hub:
        thread = Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Requests(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        """Answer as the Hub does, as far as `aigc export --push` asks."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            self.server.made.append(json.loads(body))
            self._answer(200, {"url": f"{self.server.address}/me/{self.server.made[-1]['name']}"})
        elif "/preupload/" in self.path:
            files = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(body)["files"]]
            self._answer(200, {"files": [{**one, "shouldIgnore": False} for one in files]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "header":
                    self.server.summary = line["value"]["summary"]
            repository = self.path.removeprefix("/api/models").partition("/commit/")[0]
            commit = f"{self.server.address}{repository}/commit/{'0' * 40}"
            self._answer(200, {"commitUrl": commit, "commitOid": "0" * 40})
        else:  # the check of the card's head
            self._answer(200, {"errors": [], "warnings": []})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""
