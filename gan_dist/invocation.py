"""The commands, and how each is started: in words that work where they are read."""

from collections.abc import Iterator
from pathlib import Path

COMMANDS = {
    "train": "Train a GAN.",
    "generate": "Draw images from a trained generator.",
    "evaluate": "Measure the images of a generator against real ones.",
    "replay": "Show a step of a run from inside: what each layer computed, and where a number became infinite.",
    "compare": "Show what differs between runs: options, figures, time, curves.",
    "export": "Write a trained generator as an ONNX file, and compare its images with PyTorch's.",
    "hub": "Publish a run on the Hugging Face Hub, with a model card.",
    "demo": "Show a page to play with: samples, walks, directions of the noise, checkpoints of a run.",
    "download": "Download and verify a data set: what training needs of it, and test images.",
    "accelerate_config": "Name a config of accelerate launch that comes with this package, for --config_file.",
}
PACKAGE = Path(__file__).resolve().parent
CONFIGS = PACKAGE / "accelerate_configs"
if not CONFIGS.is_dir():  # a wheel has them in the package, in a clone they lie beside it
    CONFIGS = PACKAGE.parent / "accelerate_configs"


def command(name: str) -> str:
    """How a command is started: train as a file if this is read in a clone, else as a module."""
    if name != "train":
        return f"python -m gan_dist.{name}"
    return f"accelerate launch {_train()}"


def launch_with(config: str) -> str:
    """How training is started with one of the configs."""
    file = f"accelerate_configs/{config}.yaml" if _is_read_in_clone() else f"$({command('accelerate_config')} {config})"
    return f"accelerate launch --config_file {file} {_train()}"


def table() -> Iterator[str]:
    """A line for each command."""
    width = max(len(command(name)) for name in COMMANDS)
    for name, meaning in COMMANDS.items():
        yield f"{command(name):{width}}  {meaning}"


def _train() -> str:
    return "gan_dist/train.py" if _is_read_in_clone() else "-m gan_dist.train"


def _is_read_in_clone() -> bool:
    here = Path("gan_dist")
    return here.is_dir() and here.samefile(PACKAGE)
