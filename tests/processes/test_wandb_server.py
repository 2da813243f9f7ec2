"""What a real wandb client sends, as tests/harness/wandb_server.py records it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.harness.wandb_server import Alert, RecordedRun, WandbServer

pytest.importorskip("wandb")

# Without these intervals the client sends every 15 s and waits up to a minute between two tries. It cuts them to whole
# seconds, and 0 stands for the default.
START = """
import sys
import numpy as np
import wandb

settings = wandb.Settings(
    console="off",
    init_timeout=30,
    finish_timeout=60,
    x_disable_stats=True,
    x_file_stream_transmit_interval=1,
    x_file_stream_retry_wait_min_seconds=1,
    x_file_stream_retry_wait_max_seconds=1,
    x_file_transfer_retry_wait_min_seconds=1,
    x_file_transfer_retry_wait_max_seconds=1,
    x_graphql_retry_wait_min_seconds=1,
    x_graphql_retry_wait_max_seconds=1,
)
run = wandb.init(project="digits", id="run-1", name="first", group="seeds", job_type="train", notes="a try",
                 tags=["small", "cpu"], config={"lr": 0.1, "sizes": {"latent": 8}}, resume="allow", settings=settings)
run.define_metric("train/step")
run.define_metric("*", step_metric="train/step")
run.define_metric("fid", step_metric="train/step", summary="min")
run.define_metric("recall", step_metric="train/step", summary="max")
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with WandbServer() as server:
        yield server


@pytest.fixture
def start(server: WandbServer, tmp_path: Path) -> Iterator[Start]:
    """Start a client with the lines after START; it reads its input when a test has to hold it up."""
    clients = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {f"WANDB_{kind}": str(tmp_path) for kind in ["DIR", "DATA_DIR", "CACHE_DIR", "CONFIG_DIR"]}

    def start_client(lines: str) -> "subprocess.Popen[str]":
        client = subprocess.Popen(
            [sys.executable, "-c", START + lines],
            cwd=tmp_path,
            env=environment | server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        clients.append(client)
        return client

    yield start_client
    for client in clients:
        client.kill()
        client.communicate()


def end(client: "subprocess.Popen[str]", expected: int = 0) -> str:
    """Let the client go on to its end; what it printed."""
    output, _ = client.communicate("\n", timeout=180)
    assert client.returncode == expected, output
    return output


def steps(server: WandbServer) -> list[int]:
    """The `train/step` of every row of the run that has one."""
    return [row["train/step"] for row in server.runs["run-1"].history() if "train/step" in row]


def test_server_records_rows_config_summary_and_names(server: WandbServer, start: Start) -> None:
    rows = [(0, 9.0, 0.1), (10, 5.0, 0.4), (20, 7.0, 0.2)]
    end(
        start(f"""
for step, fid, recall in {rows}:
    run.log({{"train/step": step, "fid": fid, "recall": recall, "loss": float(step)}})
run.tags += ("late",)
run.config.update({{"parameters": 123}})
run.summary["verdict"] = "good"
run.finish()
""")
    )
    run = server.runs["run-1"]
    assert [(row["train/step"], row["fid"], row["recall"]) for row in run.history()] == rows
    assert run.config == {"lr": 0.1, "sizes": {"latent": 8}, "parameters": 123}
    assert run.summary["fid"] == {"min": 5.0}
    assert run.summary["recall"] == {"max": 0.4}
    assert run.summary["loss"] == 20.0
    assert run.summary["verdict"] == "good"
    assert (run.project, run.display_name, run.group, run.job_type) == ("digits", "first", "seeds", "train")
    assert (run.notes, sorted(run.tags), run.upserts, run.exit_code) == ("a try", ["cpu", "late", "small"], 1, 0)


def test_server_records_a_picture_an_artifact_and_an_alert(server: WandbServer, start: Start, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    (tmp_path / "weights.bin").write_bytes(b"some weights")
    end(
        start("""
run.log({"train/step": 0, "samples/grid": wandb.Image(np.load("pixels.npy"), caption="the caption")})
artifact = wandb.Artifact("generator", "model", metadata={"fid": 5.0})
artifact.add_file("weights.bin", "folder/weights 1.bin")
run.log_artifact(artifact, aliases=["latest", "best"]).wait(60)
run.alert("no more", "the loss is NaN", level=wandb.AlertLevel.ERROR)
run.finish()
""")
    )
    run = server.runs["run-1"]
    entry = run.history()[0]["samples/grid"]
    assert entry["caption"] == "the caption"
    np.testing.assert_array_equal(server.pictures("run-1")[entry["path"]], pixels)

    [artifact] = server.artifacts
    assert (artifact.name, artifact.type, artifact.metadata) == ("generator", "model", {"fid": 5.0})
    assert (sorted(artifact.aliases), artifact.state, artifact.run_id) == (["best", "latest"], "COMMITTED", "run-1")
    assert artifact.files == {"folder/weights 1.bin": b"some weights"}
    assert artifact.digest
    assert run.alerts == [Alert("no more", "the loss is NaN", "ERROR")]


def test_exit_code_of_a_run_that_raised(server: WandbServer, start: Start) -> None:
    end(start("raise ValueError"), expected=1)
    assert server.runs["run-1"].exit_code == 1


def test_run_that_was_killed_goes_on(server: WandbServer, start: Start) -> None:
    log = "for step in range({}):\n    run.log({{'train/step': step, 'fid': 10.0 + step}})\n"
    killed = start(log.format("5") + "run.summary['best so far'] = 3\nsys.stdin.readline()")
    server.wait_until(lambda: "best so far" in (server.runs.get("run-1") or RecordedRun("")).summary)
    assert steps(server) == list(range(5))
    killed.kill()
    killed.wait()
    assert server.runs["run-1"].exit_code is None

    end(start(log.format("5, 9") + "run.finish()"))
    run = server.runs["run-1"]
    assert steps(server) == [row["_step"] for row in run.history()] == list(range(9))
    assert run.summary["best so far"] == 3
    assert run.summary["fid"] == {"min": 15.0}  # the client does not go on with the minimum of the first process
    assert (run.upserts, run.exit_code) == (2, 0)


@pytest.mark.parametrize(
    "fault", ["drop", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("fail", "delay", "stop"))]
)
def test_all_rows_arrive_after_a_fault(server: WandbServer, start: Start, fault: str) -> None:
    client = start("""
for step in range(20):
    if step in (5, 15):
        sys.stdin.readline()
    run.log({"train/step": step})
run.finish()
""")
    server.wait_until(lambda: "run-1" in server.runs and len(steps(server)) == 5)
    before = len(server.requests)
    if fault == "stop":
        server.stop()
    else:
        setattr(server, fault, {"fail": 500, "drop": True, "delay": 1000}[fault])
    assert client.stdin
    client.stdin.write("\n")
    client.stdin.flush()
    if fault == "stop":
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        time.sleep(2)  # the client tries every second, and nothing here can see it
        server.restart()
    else:
        server.wait_until(lambda: len(server.requests) > before + 1)
        assert len(steps(server)) == 5
        setattr(server, fault, 0)
    end(client)
    assert steps(server) == list(range(20))
    assert server.runs["run-1"].exit_code == 0


def test_refused_key(server: WandbServer, start: Start) -> None:
    server.refuse_key = True
    assert "CommError" in end(start(""), expected=1)
    assert not server.runs
