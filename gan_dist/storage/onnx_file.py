"""A generator as one ONNX file, with its metadata in it, and how far its images are from those of PyTorch."""

from collections.abc import Mapping

import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from gan_dist.data.order import Stream, classes_in_turn, normal
from gan_dist.errors import UserError
from gan_dist.models._behaviour import looking

INPUTS, OUTPUT = ("noise", "labels"), "images"
ROWS_OF_EXPORT = 2  # torch's exporter takes 1 for a constant
ROWS = (1, 3, 64)
MOST = 1e-5  # that a value of an image, in [-1, 1], may differ by


def export(generator: nn.Module, metadata: Mapping[str, str]) -> tuple[bytes, float]:
    """The content of the file, and the largest difference of a value of its images, drawn by onnxruntime, to PyTorch's.

    generator: as `load_generator` gives it. metadata: goes into the file. Its inputs are noise [N, latent_dim]
    (float32) and, if there are classes, labels [N] (int64), its output is images [N, *image_shape] (float32), for any
    N; those of `ROWS` are compared, on the CPU. Raises UserError for a difference above `MOST` and for a network that
    takes one N alone, and whatever torch's exporter, onnxruntime and the code of the network raise.
    """
    content = _content(generator, metadata)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it prints on stderr it raises as well
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    differences = []
    for rows in ROWS:
        inputs = _inputs(generator, rows)
        with looking(generator):
            expected = generator(*inputs)
        named = {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs, strict=False)}
        (images,) = session.run([OUTPUT], named)
        differences.append((torch.from_numpy(images) - expected).abs().max())
    difference = torch.stack(differences).max().item()
    if not difference <= MOST:  # nor NaN
        words = f"its images differ by up to {difference:.1e} from PyTorch's, more than {MOST}"
        raise UserError(f"{words}; its forward must draw no random numbers, and change no weights")
    return content, difference


def _content(generator: nn.Module, metadata: Mapping[str, str]) -> bytes:
    inputs = _inputs(generator, ROWS_OF_EXPORT)
    rows = torch.export.Dim("N")
    program = torch.onnx.export(
        generator,
        inputs,
        input_names=INPUTS[: len(inputs)],
        output_names=[OUTPUT],
        dynamic_shapes=tuple({0: rows} for _ in inputs),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model
    if any(not value.shape or isinstance(value.shape[0], int) for value in model.graph.inputs):
        raise UserError("its forward has a loop or an if over the number of images, which cannot be in an ONNX file")
    ClearMetadataAndDocStringPass()(model)  # stack traces: paths of this machine, lines of somebody's code
    model.metadata_props.update(metadata)
    return program.model_proto.SerializeToString()


def _inputs(generator: nn.Module, rows: int) -> tuple[Tensor, ...]:
    (noise,) = normal(0, Stream.SAMPLE, [0], rows, generator.latent_dim).float()  # type: ignore[arg-type]
    return noise, *classes_in_turn(rows, generator.num_classes)  # type: ignore[arg-type]
