"""What the tabs of the page are made of."""

import random
from typing import Any

import gradio as gr
from torch import nn

from gan_dist.data.sources import SOURCES

ALL = -1
MOST_BUTTONS = 12  # one for each class; more are in a menu
LIVE: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}  # while a slider is drawn


def class_picker(generator: nn.Module, all_too: bool = False) -> gr.Radio | gr.Dropdown:
    """What picks a class, or `ALL`, which alone is there for a generator without labels; then it is not shown."""
    num: int = generator.num_classes  # type: ignore[assignment]
    source = SOURCES.get(str(generator.trained_on))
    names = source.class_names if source and len(source.class_names) == num else range(num)
    choices = [(str(name), label) for label, name in enumerate(names)]
    first = ALL if all_too or not num else num // 2
    kind = gr.Radio if num <= MOST_BUTTONS else gr.Dropdown
    words = "Cluster" if generator.has_clusters else "Class"
    return kind([("all", ALL)] * (first == ALL) + choices, value=first, label=words, visible=num > 0)


def seed_box(words: str, value: int) -> gr.Number:
    return gr.Number(value, label=words, precision=0, min_width=100)


def new_seeds(words: str, *seeds: gr.Number) -> None:
    """A button that gives them new values."""

    def drawn() -> list[int] | int:
        numbers = random.sample(range(1_000_000), len(seeds))
        return numbers if len(numbers) > 1 else numbers[0]

    gr.Button(words, variant="primary").click(drawn, None, list(seeds), api_visibility="private", **LIVE)


def picture(**look: Any) -> gr.Image:
    return gr.Image(format="png", show_label=False, interactive=False, buttons=[], **look)
