"""The model card of a run, README.md: what it is, how to use it, how it was trained, how good it is, its limits."""

from huggingface_hub import EvalResult, ModelCardData

from gan_dist.sharing.facts import MEANINGS, Facts, figures, in_words, limits, table, takes, training
from gan_dist.storage.run_folder import CODE

PICTURE, NUM_IMAGES = "images.png", 100
TASK = "unconditional-image-generation"
CARD = """---
{header}
---

# {title}

A generator of images, {size}, from a GAN that was trained on `{dataset}` with gan_dist. {takes}

![{num} generated images]({picture})

*{num} images, not selected. `python -m gan_dist.generate {name}{own} --num {num} --out {picture}` draws them again.*

## Use

It needs the Python package gan_dist.

{use} `model.safetensors` holds plain tensors, and nothing here is a pickle.

## Training

{training}

`config.yaml` has all options; `accelerate launch -m gan_dist.train --recipe config.yaml` trains with them.{pictures}

## How good it is

{figures}

## Limits

{limits}
"""
USE = """```python
import torch, gan_dist

generator = gan_dist.load_generator("{name}"{model})
images = generator({noise})
```

The images are [64, {shape}], in [-1, 1]."""
USE_OWN = """Its networks are code of their own, `model.py`, which nothing runs unless you name it. Get it, and read it:

```sh
hf download {name} model.py --local-dir .
```

"""


def card(facts: Facts) -> str:
    """The text of README.md, with the header that the Hub reads."""
    generator, name = facts.generator, facts.name
    channels, height, width = generator.image_shape  # type: ignore[misc]
    noise, model = f"torch.randn(64, {generator.latent_dim})", f', model="{CODE}"' if facts.own else ""
    if generator.num_classes:
        noise += f", torch.randint({generator.num_classes}, (64,))"
    use = USE.format(name=name, model=model, noise=noise, shape=f"{channels}, {height}, {width}")
    return CARD.format(
        header=_header(facts).to_yaml(),
        title=facts.title,
        size=f"{height} x {width} pixels, {'in colour' if channels == 3 else 'grey'}",
        dataset=facts.dataset,
        takes=takes(facts),
        num=NUM_IMAGES,
        picture=PICTURE,
        name=name,
        own=f" --model {CODE}" if facts.own else "",
        use=(USE_OWN.format(name=name) if facts.own else "") + use,
        training=table(("", ""), training(facts)),
        pictures="" if facts.is_known else " Its images are not here: name yours with `--dataset`.",
        figures=figures(facts),
        limits="\n".join(f"- {limit}" for limit in limits(facts)),
    )


def _header(facts: Facts) -> ModelCardData:
    dataset, found = facts.dataset, facts.evaluation or {}
    results = [
        EvalResult(TASK, dataset, dataset, name, found[name], dataset_split=found["split"], metric_name=in_words(name))
        for name in MEANINGS
        if name in found
    ]
    return ModelCardData(
        library_name="gan_dist",
        pipeline_tag=TASK,
        tags=["gan", dataset],
        model_name=facts.title,
        eval_results=results or None,
    )
