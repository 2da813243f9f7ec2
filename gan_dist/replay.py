"""A step of a run from inside: `python -m gan_dist.replay RUN --step N`."""

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gan_dist import atomic
from gan_dist.arguments import Parser, check_parent
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code, reason
from gan_dist.invocation import COMMANDS, command

if TYPE_CHECKING:
    from gan_dist.adversarial.inside import Event
    from gan_dist.training.replay import Replayed

PASSED_ON = ("data_dir", "dataset", "model")  # options of train that say where things lie on this machine


def main() -> int:
    parser = Parser(prog=command("replay"), description=COMMANDS["replay"])
    parser.add_argument("run", help="run folder; nothing in it is changed but for the pictures")
    parser.add_argument("--step", required=True, help="1, 2, ...; it goes on from the nearest checkpoint before")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of data sets [that of the run]")
    parser.add_argument("--dataset", metavar="DIR", help="where pictures of your own lie now [where they lay]")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    parser.add_argument("--out", metavar="DIR", help="folder for the pictures [RUN/replay/step_N]")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    step, run = read_whole("--step", options.step), Path(os.path.expanduser(options.run))
    if step < 1:
        raise UserError(f"--step {step}: must be at least 1")
    out = Path(os.path.expanduser(options.out)) if options.out else run / "replay" / f"step_{step:08d}"
    if options.out:
        check_parent("--out", options.out, out)

    from gan_dist.training.replay import replay  # here, so that --help and errors do not wait for torch

    named = {name: getattr(options, name) for name in PASSED_ON}
    words = [word for name, value in named.items() if value for word in (f"--{name.replace('_', '-')}", value)]
    replayed = replay(run, step, words)
    try:
        _draw(replayed, out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({reason(error)}); name another folder") from None
    print(json.dumps(_report(replayed, step)) if options.json else _table(replayed, step, out))
    return 0


def _draw(replayed: "Replayed", out: Path) -> None:
    import torch

    from gan_dist.tracking.pictures import save_grid

    out.parent.mkdir(exist_ok=True)
    with atomic.new_folder(out) as new:
        generated = torch.cat(replayed.inside.images)[: len(replayed.batch.real)]
        for name, images in (("real", replayed.batch.real), ("generated", generated)):
            save_grid(images.float().nan_to_num(), new / f"{name}.png")


def _report(replayed: "Replayed", step: int) -> dict[str, object]:
    inside, bad = replayed.inside, replayed.inside.first_bad()
    events = [{**event._asdict(), "numbers": event.numbers._asdict()} for event in inside.events]
    losses = {"loss_d": float(replayed.result.loss_d), "loss_g": float(replayed.result.loss_g)}
    known = {name: loss if math.isfinite(loss) else None for name, loss in losses.items()}  # JSON has no infinity
    return {"step": step, "begun_at": replayed.begun_at, **known, "events": events, "first_bad": bad}


def _table(replayed: "Replayed", step: int, out: Path) -> str:
    result, inside = replayed.result, replayed.inside
    begun = f"the checkpoint of step {replayed.begun_at}" if replayed.begun_at else "the first weights"
    trained = f", trained in {replayed.world_size} processes" if (replayed.world_size or 1) > 1 else ""
    penalty = "" if result.penalty is None else f", penalty {float(result.penalty):.4g}"
    lines = [
        f"step {step}, from {begun}{trained}, precision {replayed.precision}",
        f"loss_d {float(result.loss_d):.4g}, loss_g {float(result.loss_g):.4g}{penalty}",
    ]
    # The first of each: what a penalty is made of, and not what comes back to it.
    gradients = {(e.network, e.use, e.layer): e for e in reversed(inside.events) if e.kind == "gradient"}
    use = None
    for event in inside.events:
        if event.kind != "output":
            continue
        if use != (event.network, event.use):
            use = event.network, event.use
            what = f"{event.network} {event.use}"
            lines += ["", f"{what:32}{'output: mean':>12}{'deviation':>11}{'largest':>10}{'gradient: mean':>17}"]
            lines[-1] += f"{'deviation':>11}{'largest':>10}"
        gradient = gradients.get((event.network, event.use, event.layer))
        cells = f"{event.numbers.mean:12.3g}{event.numbers.deviation:11.3g}{event.numbers.largest:10.3g}"
        if gradient:
            numbers = gradient.numbers
            cells += f"{numbers.mean:17.3g}{numbers.deviation:11.3g}{numbers.largest:10.3g}"
        bad = event.numbers.bad + (gradient.numbers.bad if gradient else 0)
        lines.append(f"  {event.layer:30}{cells}" + (f"  {bad} not finite" if bad else ""))
    return "\n".join([*lines, "", _origin(inside.events, inside.first_bad()), f"{out}/real.png {out}/generated.png"])


def _origin(events: "list[Event]", place: int | None) -> str:
    """Where the first number that is not finite came from."""
    if place is None:
        return "all numbers are finite"
    bad = events[place]
    what = {"gradient": "the gradient that came back to", "state": "after the step,"}.get(
        bad.kind, f"the {bad.kind} of"
    )
    where = f"{bad.network}'s {bad.layer}" + (f" {bad.use}" if bad.use else "")
    before = f"its input was finite, at most {bad.largest_input:.3g}"
    if bad.kind == "gradient":
        before = f"just before came {events[place - 1].kind} of {events[place - 1].layer}, at most "
        before += f"{events[place - 1].numbers.largest:.3g}"
    elif bad.kind != "output":
        largest = max(
            event.numbers.largest for event in events[:place] if event.kind in ("gradient", "weight's gradient")
        )
        before = f"all gradients were finite, at most {largest:.3g}"
    return f"first not finite: {what} {where} ({bad.numbers.bad} of {bad.numbers.size} numbers); {before}"


if __name__ == "__main__":
    sys.exit(exit_code(main))
