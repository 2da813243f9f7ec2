"""What a step consists of, and how far it is from what the CPU could do: `python benchmarks/step.py [--data-dir DIR]`.

A table for each recipe: milliseconds of a step by part. A part has what torch computes in it, without the parts that it
calls. Below it the floor: the step's products and convolutions at the rate of one large product, and the bytes that
its other operations read and write at the rate of one large addition, both measured in the same run.
"""

import argparse
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.steps import Steps
from benchmarks.world_size import digits

PARTS = {
    "input": "input (waiting for it)",
    "forward_g": "G forward",
    "forward_d": "D forward, real and generated images",
    "backward_d": "D backward",
    "penalties": "penalties, forward and their graph",
    "for_g": "G's update: D forward",
    "backward_g": "G's update: backward through D and G",
    "optimizers": "optimizers",
    "average": "running average of G",
    "metrics": "metrics",
    "rest": "losses and the rest",
}


class Clock:
    """Time by part; what a part calls of another counts for the other."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = ["rest"]
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._inside[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._switch()
        self._inside.append(name)
        yield
        self._switch()
        self._inside.pop()

    def watch(self, owner: Any, method: str, name: str, within: tuple[str, ...] = ()) -> None:
        """Time a method as this part, but as the part around it where that is one of `within`."""
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            if self._inside[-1] in within:
                return original(*args, **options)
            with self.part(name):
                return original(*args, **options)

        setattr(owner, method, timed)


def measure(steps: Steps, num: int) -> dict[str, float]:
    """Seconds of a step by part, over `num` steps."""
    state, clock = steps.trainer.state, Clock()
    optimizer_d, optimizer_g = state.optimizers["d"], state.optimizers["g"]
    clock.watch(state.generator, "forward", "forward_g")
    clock.watch(state.step, "judge", "forward_d")
    clock.watch(state.discriminator, "forward", "for_g", within=("forward_d", "penalties"))
    clock.watch(optimizer_d, "backward", "backward_d")
    clock.watch(optimizer_g, "backward", "backward_g")
    if state.step.penalties:
        clock.watch(state.step, "penalties", "penalties")
    for optimizer in (optimizer_d, optimizer_g):
        clock.watch(optimizer, "step", "optimizers")
        clock.watch(optimizer, "zero_grad", "optimizers")
    if state.average:
        clock.watch(state.average, "update", "average")
    clock.watch(steps.trainer.batches, "_take", "input")
    clock.watch(steps.meter, "update", "metrics")
    clock.watch(steps.trainer, "_log", "metrics")
    start = time.perf_counter()
    with clock.part("rest"):
        steps.run(num)
    clock.seconds["whole"] = time.perf_counter() - start
    return {name: seconds / num for name, seconds in clock.seconds.items()}


class Work(TorchDispatchMode):
    """Counts the FLOP of products and convolutions, and the bytes that all other operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.flop, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flop += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        elif not func.is_view and not any(name in str(func) for name in ("empty", "detach")):
            tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return result


def floor(steps: Steps) -> tuple[Work, float, float]:
    """What a step has to do, on average, and the seconds for its FLOP and for its bytes."""
    with Work() as work:
        steps.run(8)  # as many as lie between two lazy penalties
    work.flop, work.bytes = work.flop // 8, work.bytes // 8
    matrix, large = torch.randn(1024, 1024), torch.randn(1 << 25)
    for_products = fastest(lambda: matrix @ matrix) / (2 * 1024**3)
    for_bytes = fastest(lambda: large.add_(1)) / (2 * 4 * (1 << 25))
    return work, work.flop * for_products, work.bytes * for_bytes


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the best of 20."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--recipes", nargs="+", default=["linear", "mnist", "conv"])
    parser.add_argument("--seconds", type=float, default=20, help="of steps, about, for each recipe [%(default)s]")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, batch 64")
    for recipe in options.recipes:
        steps = Steps(*digits(options.data_dir), "--recipe", recipe)
        steps.run(8)
        num = max(8, round(options.seconds / (steps.run(8) / 8)) // 8 * 8)
        parts = measure(steps, num)
        work, products, others = floor(steps)
        whole = parts["whole"]
        print(f"\n| {recipe} | ms | share |\n|---|---|---|")
        for name, words in PARTS.items():
            if name in parts:
                print(f"| {words} | {parts[name] * 1e3:.2f} | {parts[name] / whole:.1%} |")
        print(f"| a step | {whole * 1e3:.2f} | 100% |")
        print(f"| floor: {work.flop / 1e9:.2f} GFLOP of products | {products * 1e3:.2f} | {products / whole:.1%} |")
        print(
            f"| floor: {work.bytes / 1e6:.0f} MB of all else | {others * 1e3:.2f} | {others / whole:.1%} |", flush=True
        )


if __name__ == "__main__":
    main()
