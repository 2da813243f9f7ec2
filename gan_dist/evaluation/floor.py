"""What real images get, as the files in extractors/ record it. It does not need torch."""

import json
from importlib.resources import files

FILES = {"mnist": "mnist", "mnist-5k": "mnist", "fashion-mnist": "fashion-mnist"}  # data set: extractor


def read_file(extractor: str) -> bytes:
    """The safetensors file of an extractor."""
    return files("gan_dist.evaluation").joinpath(f"extractors/{extractor}.safetensors").read_bytes()


def floors_in(content: bytes) -> dict[str, dict[str, float]]:
    """The file of an extractor -> {split: figures of as many real images as `num` says}."""
    # A safetensors file begins with the size of its header, which is JSON.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    floors: dict[str, dict[str, float]] = json.loads(header["__metadata__"]["floor"])
    return floors


def floor_of(dataset: str, split: str = "test") -> dict[str, float]:
    """The figures of real images of a data set against those of a split; {} if there is no extractor for it."""
    return floors_in(read_file(FILES[dataset]))[split] if dataset in FILES else {}
