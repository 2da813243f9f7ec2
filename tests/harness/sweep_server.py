"""The loopback W&B server with sweeps: it registers agents and hands them the parameters of runs."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from tests.harness.wandb_server import ENTITY, Json, WandbServer

Parameters = Mapping[str, Any]


class SweepServer(WandbServer):
    """Which parameters to try is the service's business; here the test says it. Each agent trains one run at a time."""

    def __init__(self, *runs: Parameters) -> None:
        """runs: the parameters of each."""
        super().__init__()
        self.sweeps: dict[str, Json] = {}  # by id: the sweep file, as `wandb sweep` sent it
        self.given: dict[str, Parameters] = {}  # by run id
        self.most_rows = 1_000_000  # an agent is told to stop a run that has sent as many
        self._waiting = list(runs)

    def __enter__(self) -> "SweepServer":
        self.restart()
        return self

    def answer_upsert_sweep(self, sent: Json) -> Json:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = yaml.safe_load(sent["config"])
        project = {"id": "project", "name": sent["projectName"], "entity": ENTITY}
        return {"upsertSweep": {"sweep": {"name": name, "project": project}, "configValidationWarnings": []}}

    def answer_sweep_with_runs(self, sent: Json) -> Json:
        sweep: Json = {"id": sent["sweep"], "name": sent["sweep"], "state": "RUNNING", "runs": {"edges": []}}
        return {"project": {"sweep": sweep | {"config": yaml.safe_dump(self.sweeps[sent["sweep"]])}}}

    def answer_create_agent(self, sent: Json) -> Json:
        return {"createAgent": {"agent": {"id": sent["sweep"]}}}  # it says no more of the sweep than its own id

    def answer_heartbeat(self, sent: Json) -> Json:
        running = json.loads(sent["runState"])
        stopped = [name for name in running if name in self.runs and len(self.runs[name].rows) >= self.most_rows]
        commands: list[Json] = [{"type": "stop", "run_id": name} for name in stopped]
        if not running and self._waiting:
            name, parameters = f"run{len(self.given):05}", self._waiting.pop(0)
            self.given[name] = parameters
            values = {key: {"value": value} for key, value in parameters.items()}
            program = self.sweeps[sent["id"]]["program"]
            commands.append({"type": "run", "run_id": name, "program": program, "args": values})
        elif not running:
            commands.append({"type": "exit"})
        return {"agentHeartbeat": {"agent": {"id": sent["id"]}, "commands": json.dumps(commands)}}
