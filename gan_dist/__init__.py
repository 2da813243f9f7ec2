"""GAN training with Hugging Face Accelerate: the same numbers for every number of processes."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, which do not see what _PUBLIC does
    from gan_dist.adversarial.augment import Augment as Augment
    from gan_dist.adversarial.average import Average as Average
    from gan_dist.adversarial.finite import Diverged as Diverged
    from gan_dist.adversarial.finite import check_finite as check_finite
    from gan_dist.adversarial.objectives import OBJECTIVES as OBJECTIVES
    from gan_dist.adversarial.objectives import Objective as Objective
    from gan_dist.adversarial.optimizer import ScaledOptimizer as ScaledOptimizer
    from gan_dist.adversarial.optimizer import make_adam as make_adam
    from gan_dist.adversarial.penalties import Penalties as Penalties
    from gan_dist.adversarial.penalties import Penalty as Penalty
    from gan_dist.adversarial.schedule import Schedule as Schedule
    from gan_dist.adversarial.step import DRAWS_OF_A_STEP as DRAWS_OF_A_STEP
    from gan_dist.adversarial.step import AdversarialStep as AdversarialStep
    from gan_dist.adversarial.step import Batch as Batch
    from gan_dist.adversarial.step import StepResult as StepResult
    from gan_dist.data.batches import Batches as Batches
    from gan_dist.data.dataset import Dataset as Dataset
    from gan_dist.data.dataset import load_dataset as load_dataset
    from gan_dist.data.mnist import load_images as load_images
    from gan_dist.data.mnist import load_labels as load_labels
    from gan_dist.data.order import Stream as Stream
    from gan_dist.data.order import image_indices as image_indices
    from gan_dist.data.order import normal as normal
    from gan_dist.data.order import seed_of_networks as seed_of_networks
    from gan_dist.data.order import uniform as uniform
    from gan_dist.distributed.batchnorm import ClassStd as ClassStd
    from gan_dist.distributed.batchnorm import MinibatchStd as MinibatchStd
    from gan_dist.distributed.batchnorm import make_global as make_global
    from gan_dist.distributed.processes import make_accelerator as make_accelerator
    from gan_dist.drawing.images import Drawing as Drawing
    from gan_dist.errors import UserError as UserError
    from gan_dist.storage.checkpoints import resume as resume
    from gan_dist.storage.saver import Saver as Saver
    from gan_dist.storage.weights import load_generator as load_generator
    from gan_dist.training.notebook import train as train
    from gan_dist.training.run import Run as Run

__version__ = "0.1.0"

# What may be used in somebody's own script, described in docs/library.md. Imported on first use, so that `--help` and
# `import gan_dist` do not wait for torch.
_PUBLIC = {
    "gan_dist.adversarial.augment": "Augment",
    "gan_dist.adversarial.average": "Average",
    "gan_dist.adversarial.finite": "Diverged check_finite",
    "gan_dist.adversarial.objectives": "OBJECTIVES Objective",
    "gan_dist.adversarial.optimizer": "ScaledOptimizer make_adam",
    "gan_dist.adversarial.penalties": "Penalties Penalty",
    "gan_dist.adversarial.schedule": "Schedule",
    "gan_dist.adversarial.step": "DRAWS_OF_A_STEP AdversarialStep Batch StepResult",
    "gan_dist.data.batches": "Batches",
    "gan_dist.data.dataset": "Dataset load_dataset",
    "gan_dist.data.mnist": "load_images load_labels",
    "gan_dist.data.order": "Stream image_indices normal seed_of_networks uniform",
    "gan_dist.distributed.batchnorm": "ClassStd MinibatchStd make_global",
    "gan_dist.distributed.processes": "make_accelerator",
    "gan_dist.drawing.images": "Drawing",
    "gan_dist.errors": "UserError",
    "gan_dist.storage.checkpoints": "resume",
    "gan_dist.storage.saver": "Saver",
    "gan_dist.storage.weights": "load_generator",
    "gan_dist.training.notebook": "train",
    "gan_dist.training.run": "Run",
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names.split()}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'gan_dist' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _Package(ModuleType):
    """Keeps `train` the function: when somebody imports the command, gan_dist/train.py, Python gives this package an
    attribute of that name, the module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name != "train" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
