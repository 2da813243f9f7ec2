"""trackio: a dashboard in the browser with no account and no network; `trackio show --project gan_dist`."""

from pathlib import Path

import trackio

from gan_dist.tracking.dashboards import Histogram, Movie, Picture, RunInfo, Value

PROJECT = "gan_dist"


class TrackioRun:
    """Kept where trackio keeps all its runs (TRACKIO_DIR)."""

    name = "trackio"

    def __init__(self, info: RunInfo) -> None:
        self.info = info

    def start(self, last_step: int) -> int:
        name = f"{self.info.folder.name}-{self.info.id}"
        self.run = trackio.init(PROJECT, name, config=self.info.config, resume="allow", embed=False)
        known = trackio.SQLiteStorage.get_max_step_for_run(PROJECT, name)
        return -1 if known is None else known

    def log(self, step: int, values: dict[str, Value]) -> None:
        self.run.log({name: _to_trackio(value) for name, value in values.items()}, step=step)

    def alert(self, title: str, text: str) -> None:
        self.run.alert(title, text)

    def save_weights(self, folder: Path, metadata: dict[str, str]) -> None:
        """They are in the run folder already."""

    def finish(self, exit_code: int) -> None:
        self.run.finish()

    def remedy(self) -> str:
        return "the rows are in metrics.jsonl"


def _to_trackio(value: Value) -> object:
    if isinstance(value, Picture):
        return trackio.Image(str(value.file), caption=value.caption)
    if isinstance(value, Movie):
        return trackio.Video(str(value.file), format="gif")
    if isinstance(value, Histogram):
        return trackio.Histogram(value.numbers)
    return value
