"""The page: its tabs, and what draws what. It asks nobody but its own server for anything."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL.Image import Image
from torch import Tensor, nn

from gan_dist.drawing.images import Drawing
from gan_dist.drawing.walk import on_sphere
from gan_dist.playground.controls import ALL, LIVE, class_picker, new_seeds, picture, seed_box
from gan_dist.playground.directions import directions
from gan_dist.playground.drawing import draw

COLUMNS, ROWS = 10, 6
LEAST_CUT, UNCUT = 0.2, 4.0  # truncation; the latter leaves the noise as it is
FARTHEST = 4.0  # along a direction
NUM_DIRECTIONS = 6
SEEDS = 2**53  # a browser has no larger whole numbers
# Not what `launch` takes by itself: in the file for 600, of Gradio 6.31, most letters are missing.
FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
THEME = gr.themes.Default(font=(FONT, "system-ui", "sans-serif"))
LEFT: dict[str, Any] = {"scale": 2, "min_width": 240}


def build(name: str, generators: Mapping[str, nn.Module]) -> gr.Blocks:
    """The page of the generators {words: generator} of one run, as of `load_generator`. name: of the run."""
    with gr.Blocks(title=f"{name} · gan_dist", analytics_enabled=False, delete_cache=(60, 600)) as page:
        _Page(page, generators).fill(name)
    return page


class _Page:
    def __init__(self, page: gr.Blocks, generators: Mapping[str, nn.Module]) -> None:
        self.page, self.generators = page, generators
        self.any = next(iter(generators.values()))
        self.latent_dim: int = self.any.latent_dim  # type: ignore[assignment]
        self.directions = directions(self.any, min(NUM_DIRECTIONS, self.latent_dim))

    def fill(self, name: str) -> None:
        height, width = self.any.image_shape[1:]  # type: ignore[index]
        data = Path(str(self.any.trained_on or "unknown data")).name
        gr.Markdown(
            f"# {name}\nTrained on {data}. {self.latent_dim} numbers of noise become {width} x {height} pixels."
        )
        names, are_several = list(self.generators), len(self.generators) > 1
        with gr.Row():
            self.chosen = gr.Dropdown(names, value=names[0], label="Generator", visible=are_several)
            words = "Numbers of the noise beyond it are drawn anew. Lower: cleaner and more alike."
            label = f"Truncation ({UNCUT:g}: none)"
            self.cut = gr.Slider(LEAST_CUT, UNCUT, UNCUT, step=0.1, label=label, info=words)
        tabs = {"Samples": self.samples, "Walk": self.walk, "Directions": self.along, "Checkpoints": self.checkpoints}
        for words, fill in list(tabs.items())[: None if are_several else -1]:
            with gr.Tab(words), gr.Row():
                fill()

    def samples(self) -> None:
        with gr.Column(**LEFT):
            label, seed = class_picker(self.any, all_too=True), seed_box("Seed", 0)
            new_seeds("New seed", seed)
        shown = picture(scale=5)

        def show(name: str, cut: float, label: int, seed: int) -> Image:
            return self._draw(name, self._noise(seed, cut, COLUMNS * ROWS), label, COLUMNS)

        self._on_change("samples", show, [self.chosen, self.cut, label, seed], [shown])

    def walk(self) -> None:
        with gr.Column(**LEFT):
            label = class_picker(self.any)
            with gr.Row():
                seeds = seed_box("From seed", 1), seed_box("To seed", 2)
            new_seeds("New seeds", *seeds)
        with gr.Column(scale=5):
            with gr.Row():
                start, here, end = (picture(min_width=100) for _ in range(3))
            part = gr.Slider(0, 1, 0.5, step=0.01, label="How far the image in the middle is on the way")
            strip = picture()

        def show(name: str, cut: float, label: int, first: int, last: int, part: float) -> Image:
            ends = self._noise(first, cut), self._noise(last, cut)
            return self._draw(name, on_sphere(*ends, torch.tensor([[float(part)]])), label)

        def show_all(name: str, cut: float, label: int, first: int, last: int) -> list[Image]:
            ends = self._noise(first, cut), self._noise(last, cut)
            every = on_sphere(*ends, torch.linspace(0, 1, COLUMNS).unsqueeze(1))
            return [*(self._draw(name, each, label) for each in ends), self._draw(name, every, label, COLUMNS)]

        inputs = [self.chosen, self.cut, label, *seeds]
        self._on_change("walk", show, [*inputs, part], [here])
        self._on_change("strip", show_all, inputs, [start, end, strip])

    def along(self) -> None:
        with gr.Column(**LEFT):
            shown, label, seed = picture(), class_picker(self.any), seed_box("Seed", 0)
            new_seeds("New seed", seed)
        amounts, strips = [], []
        with gr.Column(scale=5):
            gr.Markdown("Each slider moves the noise along a direction in which images change much, the first most.")
            for number in range(1, len(self.directions) + 1):
                with gr.Row():
                    amounts.append(gr.Slider(-FARTHEST, FARTHEST, 0, step=0.1, label=f"Direction {number}", scale=2))
                    strips.append(picture(scale=5))
            reset = gr.Button("All to 0")
        reset.click(lambda: [0] * len(amounts), None, amounts, api_visibility="private", **LIVE)

        def show(name: str, cut: float, label: int, seed: int, *amounts: float) -> Image:
            return self._draw(name, self._noise(seed, cut) + torch.tensor(amounts).float() @ self.directions, label)

        def show_all(name: str, cut: float, label: int, seed: int) -> list[Image]:
            places = torch.linspace(-FARTHEST, FARTHEST, COLUMNS - 1).unsqueeze(1)
            noise = self._noise(seed, cut)
            return [self._draw(name, noise + places * each, label, COLUMNS - 1) for each in self.directions]

        inputs = [self.chosen, self.cut, label, seed]
        self._on_change("directions", show, [*inputs, *amounts], [shown])
        self._on_change("strips", show_all, inputs, strips)

    def checkpoints(self) -> None:
        with gr.Column(**LEFT):
            label, seed = class_picker(self.any, all_too=True), seed_box("Seed", 0)
            new_seeds("New seed", seed)
        strips = []
        with gr.Column(scale=5):
            for words in self.generators:
                with gr.Row():
                    gr.Markdown(words)
                    strips.append(picture(scale=5))

        def show(cut: float, label: int, seed: int) -> list[Image]:
            return [self._draw(name, self._noise(seed, cut, COLUMNS), label, COLUMNS) for name in self.generators]

        self._on_change("checkpoints", show, [self.cut, label, seed], strips)

    def _noise(self, seed: int | None, cut: float, num: int = 1) -> Tensor:
        limit = None if cut >= UNCUT else max(cut, LEAST_CUT)
        return Drawing(self.any, int(seed or 0) % SEEDS, truncation=limit).noise(range(num)).float()

    def _draw(self, name: str, noise: Tensor, label: int, columns: int = 1) -> Image:
        return draw(self.generators[name], noise, None if label == ALL else label, columns)

    def _on_change(self, name: str, show: Callable, inputs: list[Any], outputs: list[gr.Image]) -> None:
        triggers = [self.page.load, *(each.change for each in inputs)]
        # Of what is typed into the box of a slider Gradio would refuse what is not on it, with a traceback.
        gr.on(triggers, show, inputs, outputs, api_name=name, preprocess=False, **LIVE)
