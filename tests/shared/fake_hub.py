"""A server that answers as the Hugging Face hub does, for dataset repositories of small files."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_a_test"


@dataclass
class FakeHub:
    """What is in the repositories, and every request that was made.

    `refused` names operations that the hub answers with 403.
    """

    address: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def commit(self, repository: str) -> str:
        """A commit that depends on the content."""
        content = sorted(
            (n, hashlib.sha1(c).hexdigest()) for n, c in self.files[repository].items()
        )
        return hashlib.sha1(repr(content).encode()).hexdigest()

    def environment(self) -> dict[str, str]:
        """What leads the hub's client here."""
        return {
            "HF_ENDPOINT": self.address,
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "*",
        }


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve an empty hub on a free port of this machine."""
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        parts = self._parts()
        if parts[:2] == ["api", "datasets"]:
            repository = "/".join(parts[2:4])
            if repository not in self.state.files:
                self._missing("RepoNotFound")
            elif parts[4:5] == ["tree"]:
                self._json([_entry(name, data) for name, data in self._files(repository).items()])
            else:
                self._json({
                    "id": repository,
                    "sha": self.state.commit(repository),
                    "siblings": [{"rfilename": name} for name in self._files(repository)],
                })  # fmt: skip
        else:
            self._resolve(body=True)

    def do_POST(self) -> None:
        parts, content = self._parts(), self._body()
        operation = parts[-2] if parts[:2] == ["api", "datasets"] else parts[-1]
        if operation in self.state.refused or self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._json({"error": "you may not write here"}, 403)
        elif parts == ["api", "repos", "create"]:
            asked = json.loads(content)
            owner = asked.get("organization") or "somebody"
            repository = f"{owner}/{asked['name']}"
            known = repository in self.state.files
            self.state.files.setdefault(repository, {})
            closed = asked.get("private") or asked.get("visibility") == "private"
            self.state.private.setdefault(repository, bool(closed))
            self._json(
                {"url": f"{self.state.address}/datasets/{repository}"}, 409 if known else 200
            )
        elif parts == ["api", "validate-yaml"]:
            self._json({"errors": [], "warnings": []})
        elif operation == "preupload":
            asked = json.loads(content)["files"]
            self._json({"files": [{"path": one["path"], "uploadMode": "regular",
                                   "shouldIgnore": False} for one in asked]})  # fmt: skip
        elif operation == "commit":
            repository = "/".join(parts[2:4])
            for line in content.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    data = base64.b64decode(entry["value"]["content"])
                    self._files(repository)[entry["value"]["path"]] = data
            commit = self.state.commit(repository)
            address = f"{self.state.address}/datasets/{repository}/commit/{commit}"
            self._json({"commitUrl": address, "commitOid": commit})
        else:
            self._json({"error": self.path}, 404)

    def _resolve(self, *, body: bool) -> None:
        parts = self._parts()
        repository, name = "/".join(parts[1:3]), "/".join(parts[5:])
        if repository not in self.state.files:
            self._missing("RepoNotFound")
        elif name not in self._files(repository):
            self._missing("EntryNotFound")
        else:
            data = self._files(repository)[name]
            self.send_response(200)
            self.send_header("X-Repo-Commit", self.state.commit(repository))
            self.send_header("ETag", f'"{_blob(data)}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

    def _files(self, repository: str) -> dict[str, bytes]:
        return self.state.files[repository]

    def _parts(self) -> list[str]:
        self.state.requests.append(f"{self.command} {self.path}")
        return unquote(urlsplit(self.path).path).strip("/").split("/")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "not there")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _blob(data: bytes) -> str:
    """The id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
