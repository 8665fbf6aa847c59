"""A Hugging Face Hub on this machine: the calls that huggingface_hub makes, and faults on demand.

By hand, with the zoo's embedded checkpoints as repositories, in one shell and another:

    python -m tests.hub
    HF_ENDPOINT=http://127.0.0.1:8765 HF_HUB_DISABLE_XET=1 HF_HOME=/tmp/hf zoo download dcgan --force
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_local"
MAIN = "main"


@dataclass
class Repo:
    """Files by commit, the newest last."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        """Add files to those of the newest commit; the new commit's name."""
        head = dict(next(reversed(self.commits.values()), {}))
        head.update(files)
        digest = hashlib.sha1(str(len(self.commits)).encode(), usedforsecurity=False)
        for name in sorted(head):
            digest.update(name.encode() + head[name])
        self.commits[digest.hexdigest()] = head
        return digest.hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Name and files of a commit."""
        name = next(reversed(self.commits), "") if revision == MAIN else revision
        return (name, self.commits[name]) if name in self.commits else None


@dataclass
class Hub:
    """All repositories, and what goes wrong.

    Attributes:
        repos: by ``owner/name``.
        uploads: what was uploaded and belongs to no commit yet, by sha256.
        cut: how many bytes of a large file are sent before the connection breaks, once for each number.
        short: how many bytes a large file lacks, as if it had been damaged in the storage.
        answers: statuses that the next requests for metadata get, such as 429 and 500.
        delay: seconds before each answer.
        trickle: seconds between the eighths of a large file.
        log: method and path of all requests.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    short: int = 0
    delay: float = 0.0
    trickle: float = 0.0
    log: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self, port: int = 0) -> Iterator[Hub]:
        """Serve in a thread."""
        server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"hub": self}))
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    do_GET = do_POST = do_PUT = do_HEAD  # noqa: N815

    def answer(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.hub.log.append(f"{self.command} {path}")
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        time.sleep(self.hub.delay)
        for pattern, handle in (
            (r"/api/whoami-v2", self.whoami),
            (r"/api/validate-yaml", lambda body: self.say({"errors": [], "warnings": []})),
            (r"/api/repos/create", self.create),
            (r"/api/models/([^/]+/[^/]+)/(preupload|commit|tree|revision)/([^/]+).*", self.api),
            (r"/api/models/([^/]+/[^/]+)", self.info),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/lfs/([0-9a-f]{64})", self.large),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                return handle(body, *found.groups())  # type: ignore[operator,no-any-return]
        return self.fail(404, "EntryNotFound")

    def whoami(self, body: bytes) -> None:
        if not self.known():
            return self.fail(401)
        return self.say({"type": "user", "name": "me", "fullname": "Me", "orgs": [], "auth": {"type": "access_token"}})

    def create(self, body: bytes) -> None:
        if not self.known():
            return self.fail(401)
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.hub.repos:
            return self.say({"error": "exists", "url": f"{self.hub.url}/{name}"}, 409)
        self.hub.repos[name] = Repo(private=bool(asked.get("private")) or asked.get("visibility") == "private")
        self.hub.repos[name].commit({".gitattributes": b""})
        return self.say({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def api(self, body: bytes, name: str, what: str, revision: str) -> None:
        repo = self.allowed(name)
        if repo is None:
            return None
        if what == "preupload":
            files = json.loads(body)["files"]
            mode = {True: "lfs", False: "regular"}
            return self.say(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": mode[f["path"].endswith("s")], "shouldIgnore": False}
                        for f in files
                    ]
                }
            )
        if what == "commit":
            return self.commit(repo, name, body)
        if what == "tree":
            found = repo.at(revision)
            files = found[1] if found else {}
            return self.say(
                [{"type": "file", "path": path, "size": len(x), "oid": sha(x)} for path, x in files.items()]
            )
        return self.info(body, name, revision)

    def info(self, body: bytes, name: str, revision: str = MAIN) -> None:
        repo = self.allowed(name)
        if repo is None:
            return None
        found = repo.at(revision)
        if found is None:
            return self.fail(404, "RevisionNotFound")
        commit, files = found
        facts = {"id": name, "modelId": name, "sha": commit, "private": repo.private, "gated": repo.gated, "tags": []}
        return self.say({**facts, "siblings": [{"rfilename": path} for path in files]})

    def commit(self, repo: Repo, name: str, body: bytes) -> None:
        files = {}
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if item["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
        oid = repo.commit(files)
        url = f"{self.hub.url}/{name}/commit/{oid}"
        return self.say({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def batch(self, body: bytes, name: str) -> None:
        if self.allowed(name) is None:
            return None
        objects = [
            {**asked, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}"}}}
            for asked in json.loads(body)["objects"]
        ]
        return self.say({"transfer": "basic", "objects": objects})

    def large(self, body: bytes, digest: str) -> None:
        """Where large files are really stored: uploads come here, and downloads are sent here."""
        if self.command == "PUT":
            if sha(body) != digest:
                return self.fail(422)
            self.hub.uploads[digest] = body
            return self.say({})
        files = [x for repo in self.hub.repos.values() for files in repo.commits.values() for x in files.values()]
        content = next((x for x in files if sha(x) == digest), None)
        if content is None:
            return self.fail(404, "EntryNotFound")
        content = content[: len(content) - self.hub.short]
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range") or "") or [0, 0])[1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{digest}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            sent = content[start:]
            if self.hub.cut:
                self.wfile.write(sent[: self.hub.cut.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return None
            for part in range(8):
                self.wfile.write(sent[len(sent) * part // 8 : len(sent) * (part + 1) // 8])
                time.sleep(self.hub.trickle)
        return None

    def resolve(self, body: bytes, name: str, revision: str, file: str) -> None:
        if self.hub.answers:
            return self.fail(self.hub.answers.pop(0))
        repo = self.allowed(name)
        if repo is None:
            return None
        found = repo.at(revision)
        if found is None:
            return self.fail(404, "RevisionNotFound")
        commit, files = found
        content = files.get(file)
        if content is None:
            return self.fail(404, "EntryNotFound", commit)
        stored_apart = file.endswith(".safetensors")
        self.send_response(302 if stored_apart else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{sha(content)}"')
        if stored_apart:
            self.send_header("X-Linked-Etag", f'"{sha(content)}"')
            self.send_header("X-Linked-Size", str(len(content)))
            # Another host, as the Hub's storage is: to its own, huggingface_hub would follow at once.
            self.send_header("Location", f"http://localhost:{self.hub.port}/lfs/{sha(content)}")
        sent = b"" if stored_apart else content
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(sent)
        return None

    def allowed(self, name: str) -> Repo | None:
        """The repository, or an answer that says why not."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self.known()):
            return self.fail(401, "RepoNotFound")  # the Hub does not tell the two apart
        if repo.gated and not self.known():
            return self.fail(401, "GatedRepo")
        if repo.gated and self.headers["Authorization"] == f"Bearer {TOKEN}_other":
            return self.fail(403, "GatedRepo")
        return repo

    def known(self) -> bool:
        return (self.headers.get("Authorization") or "").startswith(f"Bearer {TOKEN}")

    def fail(self, status: int, code: str = "", commit: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Repo-Commit": commit, "Retry-After": "1" if status == 429 else ""}
        return self.say({"error": code or f"status {status}"}, status, {k: v for k, v in headers.items() if v})

    def say(self, value: Any, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        for key, header in headers.items():
            self.send_header(key, header)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        pass


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def embedded() -> Hub:
    """A Hub with a repository for every embedded checkpoint."""
    from zoo.registry.index import registry
    from zoo.registry.schema import to_config

    hub = Hub()
    for entry in registry().entries.values():
        if entry.hub and entry.embedded.is_file():
            files = {"model.safetensors": entry.embedded.read_bytes(), "config.json": to_config(entry).encode()}
            hub.repos.setdefault(entry.hub.repo, Repo()).commit(files)
    return hub


if __name__ == "__main__":
    with embedded().running(8765) as hub:
        print(f"HF_ENDPOINT={hub.url} HF_HUB_DISABLE_XET=1; ctrl-C stops. A token that is known: {TOKEN}")
        threading.Event().wait()
