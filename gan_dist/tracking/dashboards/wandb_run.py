"""Weights & Biases: online if a server is in reach, offline in the run folder if not; never a prompt."""

import json
import logging
import netrc
import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb

from gan_dist.tracking.dashboards import Histogram, Movie, Picture, RunInfo, Value

logger = logging.getLogger(__name__)

PROBE_SECONDS = 3
# The losses' extremes tell more than their last value; everything is drawn over train/step, which a resumed run shares.
SUMMARIES = {"D/loss": "min,max,last", "G/loss": "min,max,last", "samples/diversity": "min,last"}


class WandbRun:
    """Project, entity, name, group, tags, notes and mode come from W&B's own environment variables."""

    name = "wandb"

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.run: Any = None

    def start(self, last_step: int) -> int:
        mode, reason = _choose_mode()
        try:
            self.run = self._init(mode)
        except wandb.Error as error:
            if mode != "online":
                raise
            wandb.teardown()  # or else wandb takes the id for one in use
            words = " ".join(str(error).split()) or "no reason given"
            mode, reason = "offline", f"the server did not take the run: {words}"
            self.run = self._init(mode)
        self.run.define_metric("train/step")
        self.run.define_metric("*", step_metric="train/step")
        for name, summary in SUMMARIES.items():
            self.run.define_metric(name, step_metric="train/step", summary=summary)
        # Rows that the server has are not sent again; offline, those in the logs of the earlier segments.
        if mode == "online":
            logger.info("wandb: %s", self.run.url)
            return self.run.step - 1
        if mode == "offline":
            place = f"look at it: wandb leet {shlex.quote(self._folder())}; {self.remedy()}"
            logger.info("wandb: offline (%s); %s", reason, place)
        return self._last_local_step()

    def _init(self, mode: str) -> Any:
        # The setting alone does not silence what wandb says of the key. What matters is said by `start`.
        os.environ.setdefault("WANDB_SILENT", "true")
        settings = wandb.Settings(
            # It would wrap sys.stdout, and a print would raise when wandb's process has died.
            console="off",
            init_timeout=30,
            finish_timeout=20,
            finish_timeout_raises=True,
            x_transaction_log_flush_interval=5,
            # finish_timeout does not hold for what waits in GraphQL's own retries: alerts and artifacts.
            x_graphql_retry_max=4,
            x_graphql_retry_wait_min_seconds=1,
            x_graphql_retry_wait_max_seconds=4,
            x_graphql_timeout_seconds=10,
        )
        return wandb.init(
            mode=mode,  # type: ignore[arg-type]
            id=os.environ.get("WANDB_RUN_ID", self.info.id),
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "gan_dist"),
            name=os.environ.get("WANDB_NAME", self.info.folder.name),
            dir=os.environ.get("WANDB_DIR", str(self.info.folder)),
            config=self.info.config,
            allow_val_change=True,  # a resumed run may be longer
            settings=settings,
        )

    def _folder(self) -> str:
        return self.run.settings.sync_dir

    def _last_local_step(self) -> int:
        """The last step in the logs of this run's earlier segments, -1 without any."""
        steps = [-1]
        for log in Path(self._folder()).parent.glob(f"*run-*/run-{self.run.id}.wandb"):
            if log.parent != Path(self._folder()):
                command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
                records = [json.loads(line) for line in done.stdout.splitlines()]
                steps += [r["history"]["item"]["_step"] for r in records if r["type"] == "history"]
        return max(steps)

    def log(self, step: int, values: dict[str, Value]) -> None:
        self.run.log({name: _to_wandb(value) for name, value in values.items()} | {"train/step": step}, step=step)

    def alert(self, title: str, text: str) -> None:
        self.run.alert(title, text, level="WARN")

    def save_weights(self, folder: Path, metadata: dict[str, str]) -> None:
        artifact = wandb.Artifact(f"{folder.name}-{self.run.id}", type="model", metadata=metadata)
        for file in sorted(folder.iterdir()):
            artifact.add_file(str(file))
        self.run.log_artifact(artifact, aliases=["latest", f"step-{metadata['step']}"])

    def finish(self, exit_code: int) -> None:
        self.run.finish(exit_code=exit_code)

    def remedy(self) -> str:
        folder = self._folder() if self.run else str(self.info.folder / "wandb")
        return f"upload it later: wandb sync --include-online {shlex.quote(folder)}"


def _choose_mode() -> tuple[str, str]:
    """(mode, why)."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode, f"WANDB_MODE={mode}"
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if not os.environ.get("WANDB_API_KEY") and not _netrc_has(urlsplit(url).hostname or ""):
        return "offline", "no API key"
    try:
        urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            return "offline", f"{url} answers {error.code}"
    except OSError as error:
        return "offline", f"no answer from {url} in {PROBE_SECONDS} s: {getattr(error, 'reason', error)}"
    return "online", ""


def _netrc_has(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _to_wandb(value: Value) -> Any:
    if isinstance(value, Picture):
        return wandb.Image(str(value.file), caption=value.caption)
    if isinstance(value, Movie):
        return wandb.Video(str(value.file), format="gif")
    if isinstance(value, Histogram):
        return wandb.Histogram(value.numbers.tolist())
    return value
