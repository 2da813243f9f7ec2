"""TensorBoard: `tensorboard --logdir runs`."""

from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from gan_dist.tracking.dashboards import Histogram, Movie, Picture, RunInfo, Value


class TensorBoardRun:
    """Event files in RUN/tensorboard."""

    name = "tensorboard"

    def __init__(self, info: RunInfo) -> None:
        self.info = info

    def start(self, last_step: int) -> int:
        # TensorBoard hides what an earlier process wrote from purge_step on.
        self.writer = SummaryWriter(
            str(self.info.folder / "tensorboard"), purge_step=last_step + 1 if last_step else None
        )
        if last_step == 0:
            self.writer.add_text("config", "\n".join(f"    {k}: {v}" for k, v in self.info.config.items()))
        return last_step or -1

    def log(self, step: int, values: dict[str, Value]) -> None:
        for name, value in values.items():
            if isinstance(value, Picture):
                pixels = np.asarray(Image.open(value.file))
                self.writer.add_image(name, pixels, step, dataformats="HW" if pixels.ndim == 2 else "HWC")
            elif isinstance(value, Movie):
                # As an image, which it shows moving: add_video wants all frames, and moviepy to pack them again.
                image = Summary.Image(encoded_image_string=value.file.read_bytes())
                summary = Summary(value=[Summary.Value(tag=name, image=image)])
                self.writer._get_file_writer().add_summary(summary, step)
            elif isinstance(value, Histogram):
                self.writer.add_histogram(name, value.numbers, step)
            else:
                self.writer.add_scalar(name, value, step)
        self.writer.flush()  # or else a kill costs the last two minutes

    def alert(self, title: str, text: str) -> None:
        self.writer.add_text("alerts", f"{title}: {text}")

    def save_weights(self, folder: Path, metadata: dict[str, str]) -> None:
        """They are in the run folder already."""

    def finish(self, exit_code: int) -> None:
        self.writer.close()

    def remedy(self) -> str:
        return "the rows are in metrics.jsonl"
