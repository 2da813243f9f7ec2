"""A loopback stand-in for the Hugging Face Hub, for tests that run a real huggingface_hub client.

It answers the part of the protocol that huggingface_hub 2.4 was seen to use (repositories, commits, LFS, downloads) and
keeps what arrives. So it proves what the client sends and reads, and not that the real service would accept it. Not its
Xet storage, which the client does without where HF_HUB_DISABLE_XET is set.
"""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from huggingface_hub import ModelCard

from tests.harness.loopback import Handler

TOKEN = "hf_" + "0123456789" * 3 + "abcd"
LARGE = (".safetensors", ".png")  # what the Hub keeps in LFS


@dataclass
class Repository:
    """commits: {id: {path: content}}, the newest last."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], message: str = "") -> str:
        """A new commit with these files as well -> its id."""
        name = hashlib.sha1(f"{len(self.commits)}{message}".encode()).hexdigest()
        self.commits[name] = self.files | files
        self.messages.append(message)
        return name

    @property
    def head(self) -> str:
        return list(self.commits)[-1] if self.commits else "0" * 40

    @property
    def files(self) -> dict[str, bytes]:
        """Those of the newest commit."""
        return self.commits.get(self.head, {})


class HubServer:
    """`with HubServer() as hub:` listens on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}  # by SHA-256
        self.requests: list[str] = []  # method and path of every request
        self.fail_at = ""  # requests whose path has this get a status of 403

    def __enter__(self) -> "HubServer":
        self.listener = _Listener(self)
        self.url = f"http://127.0.0.1:{self.listener.server_port}"
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown()
        self.listener.server_close()

    def make(self, name: str, private: bool = False) -> Repository:
        self.repositories[name] = Repository(private)
        return self.repositories[name]

    def environment(self, cache: object) -> dict[str, str]:
        """The variables that send a client here, with a cache of its own, which holds no token."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(Handler):
    server: _Listener

    def handle_any(self) -> None:
        hub, body = self.server.hub, self.body()
        path = unquote(self.path.split("?")[0]).strip("/")
        hub.requests.append(f"{self.command} {path}")
        is_known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if hub.fail_at and hub.fail_at in path:
            self.answer(403, {"error": "You don't have the rights to create a model under this namespace"})
        elif path.startswith("large/"):
            self._keep_large(path.removeprefix("large/"), body)
        elif path == "api/validate-yaml":
            ModelCard(json.loads(body)["content"]).data.to_dict()
            self.answer(200, {"errors": [], "warnings": []})
        elif path == "api/repos/create":
            self._create(json.loads(body), is_known)
        else:
            words = path.removeprefix("api/models/").replace(".git/info", "/info").split("/")
            name, rest = "/".join(words[:2]), words[2:]
            repository = hub.repositories.get(name)
            if repository is None or (repository.private and not is_known):
                self.answer(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            elif self.command == "POST":
                self._write(name, repository, rest[0], body)
            else:
                self._read(name, repository, rest)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def _create(self, sent: dict[str, Any], is_known: bool) -> None:
        name = f"{sent['organization']}/{sent['name']}"
        if not is_known:
            self.answer(401, {"error": "Invalid username or password."})
        elif name in self.server.hub.repositories:
            self.answer(409, {"error": "You already created this model repo", "url": f"{self.server.hub.url}/{name}"})
        else:
            self.server.hub.make(name, sent.get("visibility") == "private")
            self.answer(200, {"url": f"{self.server.hub.url}/{name}"})

    def _keep_large(self, sha256: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == sha256
        self.server.hub.large[sha256] = body
        self.answer(200, {})

    def _write(self, name: str, repository: Repository, action: str, body: bytes) -> None:
        hub = self.server.hub
        if action == "preupload":
            files = json.loads(body)["files"]
            modes = {file["path"]: "lfs" if file["path"].endswith(LARGE) else "regular" for file in files}
            self.answer(200, {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]})
        elif action == "info":  # lfs/objects/batch
            objects = json.loads(body)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{hub.url}/large/{each['oid']}"}}
            self.answer(200, {"transfer": "basic", "objects": objects})
        else:
            header, *operations = (json.loads(line) for line in body.splitlines())
            files = {}
            for operation in operations:
                value = operation["value"]
                is_large = operation["key"] == "lfsFile"
                files[value["path"]] = hub.large[value["oid"]] if is_large else base64.b64decode(value["content"])
            commit = repository.commit(files, header["value"]["summary"])
            self.answer(200, {"commitOid": commit, "commitUrl": f"{hub.url}/{name}/commit/{commit}"})

    def _read(self, name: str, repository: Repository, words: list[str]) -> None:
        action, revision, *rest = [*words, "revision", "main"][:2] + words[2:]
        commit = repository.head if revision == "main" else revision
        if commit not in repository.commits and repository.commits:
            self.answer(404, {"error": f"Invalid rev id: {revision}"}, X_Error_Code="RevisionNotFound")
            return
        files = repository.commits.get(commit, {})
        if action == "tree":
            sizes = {path: {"size": len(content), "oid": _id(content)} for path, content in files.items()}
            self.answer(200, [{"type": "file", "path": path, **about} for path, about in sizes.items()])
        elif action == "revision":
            siblings = [{"rfilename": path} for path in files]
            self.answer(200, {"id": name, "sha": commit, "private": repository.private, "siblings": siblings})
        elif (path := "/".join(rest)) in files:
            self.answer(200, files[path], X_Repo_Commit=commit, ETag=f'"{_id(files[path])}"')
        else:
            self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)


def _id(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
