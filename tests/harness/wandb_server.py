"""A loopback stand-in for the Weights & Biases server, for tests that run a real wandb client.

It answers the part of the protocol that wandb 0.31 was seen to use (GraphQL, the file stream and uploads) and keeps
what arrives. So it proves what the client sends, and not that the real service would accept it.
"""

import io
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.harness.loopback import Handler

Json = dict[str, Any]

ENTITY = {"id": "entity", "name": "tester"}


class Alert(NamedTuple):
    title: str
    text: str
    level: str


@dataclass
class RecordedRun:
    """What clients have said about one run; `exit_code` is None until one of them has called it complete."""

    run_id: str
    project: str = ""
    display_name: str = ""
    group: str = ""
    job_type: str = ""
    notes: str = ""
    tags: list[str] = field(default_factory=list)
    upserts: int = 0  # how many times a process created or resumed it
    sent_config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    rows: dict[int, Json] = field(default_factory=dict)  # by line of wandb-history.jsonl, which is not `_step`
    alerts: list[Alert] = field(default_factory=list)
    exit_code: int | None = None

    @property
    def config(self) -> Json:
        """The user's part of the config, out of the wrapping it is sent in."""
        return {name: entry["value"] for name, entry in self.sent_config.items() if name != "_wandb"}

    def history(self) -> list[Json]:
        """The rows in order."""
        return [row for _, row in sorted(self.rows.copy().items())]


@dataclass
class RecordedArtifact:
    """One logged version of an artifact; every one is kept, though the real service merges those of one digest."""

    name: str
    type: str
    metadata: Json
    aliases: list[str]  # as sent; that a later version takes them over is the service's business
    digest: str
    run_id: str | None
    state: str = "PENDING"
    files: dict[str, bytes] = field(default_factory=dict)


class _Records:
    """What arrived, and the answer to each GraphQL operation: `answer_` and the operation's name in snake case."""

    def __init__(self) -> None:
        self.url = ""
        self.runs: dict[str, RecordedRun] = {}
        self.files: dict[str, bytes] = {}  # by 'run_id/path in the run'
        self.artifacts: list[RecordedArtifact] = []
        self.requests: list[str] = []  # GraphQL operation or path of every request, those that a fault met too

    def pictures(self, run_id: str) -> dict[str, npt.NDArray[np.uint8]]:
        """{the path that a history row gives: pixels} of a run's PNG files."""
        files = {name: file for name, file in self.files.copy().items() if name.startswith(f"{run_id}/")}
        pngs = {name.split("/", 1)[1]: io.BytesIO(file) for name, file in files.items() if name.endswith(".png")}
        return {path: np.asarray(Image.open(png)) for path, png in pngs.items()}

    def graphql(self, operation: str, sent: Json) -> Json:
        """The `data` of the answer; an operation that is not known here gets an empty one."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        answer: Callable[[Json], Json] = getattr(self, f"answer_{name}", lambda _: {})
        return answer(sent)

    def answer_viewer(self, _: Json) -> Json:
        viewer = {"id": "viewer", "username": "tester", "entity": ENTITY["name"], "flags": "{}"}
        return {"viewer": {**viewer, "teams": {"edges": [{"node": ENTITY}]}}}

    def answer_server_features_query(self, _: Json) -> Json:
        return {"serverInfo": {"features": []}}

    def answer_upsert_bucket(self, sent: Json) -> Json:
        inserted = sent["name"] not in self.runs
        run = self.runs.setdefault(sent["name"], RecordedRun(sent["name"], display_name=sent["name"]))
        fields = {"displayName": "display_name", "groupName": "group", "jobType": "job_type"}
        for name in ["project", "displayName", "groupName", "jobType", "notes", "tags"]:
            if sent[name] is not None:  # null means "as it was"
                setattr(run, fields.get(name, name), sent[name])
        if sent["config"] is not None:
            run.sent_config = json.loads(sent["config"])
            if "e" not in run.sent_config["_wandb"]["value"]:  # "e" describes the machine, after the first request
                run.upserts += 1
                run.exit_code = None
        project = {"project": {"id": "project", "name": run.project, "entity": ENTITY}}
        return {"upsertBucket": {"inserted": inserted, "bucket": self._bucket(run) | project}}

    def answer_run_resume_status(self, sent: Json) -> Json:
        bucket = self._bucket(self.runs[sent["name"]]) if sent["name"] in self.runs else None
        return {"model": {"id": "project", "name": sent["project"], "entity": ENTITY, "bucket": bucket}}

    def answer_create_run_files(self, sent: Json) -> Json:
        files = [{"name": name, **self._upload("run", sent["run"], name)} for name in sent["files"]]
        return {"createRunFiles": {"runID": sent["run"], "uploadHeaders": [], "files": files}}

    def answer_notify_scriptable_run_alert(self, sent: Json) -> Json:
        self.runs[sent["runName"]].alerts.append(Alert(sent["title"], sent["text"], sent["severity"]))
        return {"notifyScriptableRunAlert": {"success": True}}

    def answer_artifact_type(self, _: Json) -> Json:
        return {"project": None}  # no artifact of this name yet, so it may have any type

    def answer_create_artifact(self, sent: Json) -> Json:
        sent = sent["input"]
        metadata, aliases = json.loads(sent["metadata"] or "{}"), [alias["alias"] for alias in sent["aliases"]]
        name, kind = sent["artifactCollectionName"], sent["artifactTypeName"]
        self.artifacts.append(RecordedArtifact(name, kind, metadata, aliases, sent["digest"], sent["runName"]))
        new = {"id": str(len(self.artifacts) - 1), "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": new}}

    def answer_create_artifact_manifest(self, sent: Json) -> Json:
        file = {"id": "file", **self._upload("manifest", sent["artifactID"], sent["name"])}
        return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}

    def answer_create_artifact_files(self, sent: Json) -> Json:
        edges = []
        for file in sent["input"]["artifactFiles"]:
            upload = self._upload("artifact", file["artifactID"], file["name"])
            node = {"storagePath": file["name"], "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]}}
            edges.append({"node": node | upload})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def answer_commit_artifact(self, sent: Json) -> Json:
        artifact = self.artifacts[int(sent["artifactID"])]
        artifact.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": sent["artifactID"], "digest": artifact.digest}}}

    def answer_artifact_by_id(self, sent: Json) -> Json:
        """What `artifact.wait()` reads back."""
        artifact = self.artifacts[int(sent["id"])]
        content: Json = {"size": sum(map(len, artifact.files.values())), "fileCount": len(artifact.files)}
        content |= {"id": sent["id"], "digest": artifact.digest, "state": artifact.state, "versionIndex": 0}
        about: Json = {"artifactSequence": {"name": artifact.name, "project": None}, "tags": [], "aliases": []}
        about |= {"artifactType": {"name": artifact.type}, "metadata": json.dumps(artifact.metadata)}
        times: Json = {"createdAt": "2025-01-01T00:00:00Z", "ttlDurationSeconds": 0, "ttlIsInherited": True}
        unset = dict.fromkeys(["description", "updatedAt", "historyStep", "commitHash"])
        return {"artifact": content | about | times | unset}

    def file_stream(self, run_id: str, sent: Json) -> None:
        """Take in history, summary and exit code."""
        run = self.runs[run_id]
        for name, chunk in (sent.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                # A chunk that is sent again because its answer was lost lands on the lines it had before.
                run.rows |= {chunk["offset"] + i: json.loads(line) for i, line in enumerate(chunk["content"])}
            elif name == "wandb-summary.json":
                run.summary = json.loads(chunk["content"][-1])  # always the whole summary
        if sent.get("complete"):
            run.exit_code = sent["exitcode"]

    def upload(self, kind: str, owner: str, path: str, content: bytes) -> None:
        """Keep a file; an artifact's manifest is only accepted."""
        if kind == "run":
            self.files[f"{owner}/{path}"] = content
        elif kind == "artifact":
            self.artifacts[int(owner)].files[path] = content

    def _bucket(self, run: RecordedRun) -> Json:
        """A run as the service describes it; a resuming client goes on from these counts, config and summary."""
        client = {"t": run.sent_config.get("_wandb", {}).get("value", {}).get("t", {})}
        texts = {"config": run.sent_config, "summaryMetrics": run.summary, "wandbConfig": client, "eventsTail": []}
        texts |= {"historyTail": [json.dumps(row) for row in run.history()[-1:]]}
        bucket: Json = {name: json.dumps(value) for name, value in texts.items()}  # JSON inside JSON, as in the service
        bucket |= {"id": run.run_id, "name": run.run_id, "displayName": run.display_name, "sweepName": ""}
        bucket |= {"description": "", "notes": run.notes, "tags": run.tags}
        return bucket | {"historyLineCount": len(run.rows), "eventsLineCount": 0, "logLineCount": 0}

    def _upload(self, kind: str, owner: str, path: str) -> Json:
        return {"uploadUrl": f"{self.url}/upload/{kind}/{owner}/{quote(path)}", "uploadHeaders": []}


class WandbServer(_Records):
    """`with WandbServer() as server:` listens on a free port of 127.0.0.1; the faults may be changed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.fail = 0  # the status that every request is answered with
        self.delay = 0.0  # seconds before an answer; a request that waits notices when this is lowered
        self.refuse_key = False
        self.drop = False  # close the connection without an answer
        self.lock = threading.Lock()
        self.port = 0
        self.listener: _Listener | None = None

    def __enter__(self) -> "WandbServer":
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": "0123456789" * 4}

    def restart(self) -> None:
        """Listen, on the same port as before."""
        self.listener = _Listener(self.port, self)
        self.port = self.listener.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and answer none of the open ones from now on; what was recorded stays."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown()
            listener.server_close()

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Look until `condition` holds; fail when time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"timed out; requests so far: {self.requests}"
            time.sleep(0.05)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, service: WandbServer) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that was killed is no news
            super().handle_error(request, client_address)


class _Handler(Handler):
    server: _Listener

    def handle_any(self) -> None:
        service = self.server.service
        body = self.body()
        route, message, operation = self.path.split("?")[0].strip("/").split("/"), {}, ""
        if route == ["graphql"]:
            message = json.loads(body)
            operation = re.findall(r"(?:query|mutation)\s+(\w+)", message["query"])[0]
        service.requests.append(operation or self.path)
        start = time.monotonic()
        while time.monotonic() - start < service.delay and service.listener is self.server:
            time.sleep(0.02)
        if service.drop or service.listener is not self.server:  # stopped: a connection may outlive its listener
            self.close_connection = True
        elif service.fail:
            self.answer(service.fail, {"error": "as the test wants it"})
        elif operation and service.refuse_key:
            self.answer(401, {"errors": [{"message": "invalid API key"}]})
        elif operation:
            with service.lock:
                data = service.graphql(operation, message.get("variables") or {})
            self.answer(200, {"data": data})
        elif route[-1] == "file_stream":  # files/entity/project/run_id/file_stream
            with service.lock:
                service.file_stream(route[-2], json.loads(body))
            self.answer(200, {"limits": {}, "stopped": False})
        else:  # the client's own telemetry comes here too
            if route[0] == "upload":
                service.upload(route[1], route[2], unquote("/".join(route[3:])), body)
            self.answer(200, {})

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815
