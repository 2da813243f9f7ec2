"""The configuration of a run: frozen dataclasses that become the command line and the yaml recipes."""

import dataclasses
from typing import Annotated, Any, Literal, get_type_hints

import tyro
import yaml
from tyro.conf import arg

from gan_dist.data.dataset import BACKGROUND

Objective = Literal["bce", "hinge", "lsgan", "wgan-gp", "relativistic"]


NOT_SAID: Any = object()


@dataclasses.dataclass(frozen=True)
class Rule:
    """What an option says of itself, beside its type and its default."""

    is_free: bool = False  # a resumed run may change it: it says how long or what is shown, not what is computed
    may_be_zero: bool = False
    # What runs computed with before there was this option. One that is not free and that checkpoints of format 1 do not
    # record must say it, even where it is the default: a default may change, what old runs did does not.
    before: Any = NOT_SAID


FREE = Rule(is_free=True)
ZERO = Rule(may_be_zero=True)
WAS_ZERO = Rule(may_be_zero=True, before=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    recipe: Annotated[str, arg(metavar="NAME|FILE.yaml"), FREE] = "mnist"
    """Preset of the options: a name or a yaml file; the command line overrides it."""
    run_dir: Annotated[str | None, arg(metavar="DIR")] = None
    """Folder for everything that the run writes [runs/<recipe>-<time> if None]."""
    epochs: Annotated[int, FREE] = 20
    """Number of passes over the data set."""
    max_steps: Annotated[int | None, FREE] = None
    """Total number of steps; overrides --epochs."""
    batch_size: int = 64
    """Number of images in a step, over all processes together (the global batch)."""
    seed: Annotated[int, ZERO] = 0
    """Seed for the initial weights, the order of the images and the noise."""
    dtype: Literal["float32", "float64"] = "float32"
    """Data type of weights and images."""
    mixed_precision: Annotated[Literal["no", "bf16", "fp16"] | None, FREE] = None  # what it resolves to is compared
    """Data type that the networks compute in; weights keep --dtype [None: as accelerate's config says]."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Precision of float32 matrix products and convolutions; with high and medium a GPU uses TF32."""
    deterministic: bool = False
    """Use only deterministic algorithms, so that a GPU gives the same bits each time; may be slower."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    dataset: Annotated[str, arg(metavar="NAME|FOLDER|FILE")] = "mnist"
    """Data set: mnist, fashion-mnist, kmnist, mnist-5k (needs no download), cifar10, or pictures of your own."""
    data_dir: Annotated[str, arg(metavar="DIR"), FREE] = "data"
    """Folder of the data sets in torchvision's layout (DIR/MNIST/raw/...); what it lacks is downloaded."""
    # What these four resolve to is compared: the images themselves.
    image_size: Annotated[int | None, FREE] = None
    """Height and width of the images [None: as they are; of a folder or a table of pictures 32]."""
    channels: Annotated[Literal[1, 3] | None, FREE] = None
    """1: grey, 3: red, green and blue [None: 1 if all images are grey, else 3]."""
    background: Annotated[str, arg(metavar="COLOUR"), FREE] = BACKGROUND
    """What shows through where pictures of your own are transparent: a name of CSS, or #rrggbb."""
    skip_damaged: Annotated[bool, FREE] = False
    """Leave out pictures of your own that cannot be read."""
    data_placement: Annotated[Literal["host", "device"], FREE] = "host"
    """Where the images are kept: in host memory, with batches copied ahead of their step, or on the GPU."""
    augment: Annotated[tuple[Literal["translation", "cutout"], ...], Rule(before=())] = ()
    """Change what D sees, real and generated, at random: for data sets that D could learn by heart."""
    mirror: Annotated[bool, Rule(before=False)] = False
    """Flip each real image left-right with probability 1/2, for pictures that could as well be the other way round."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    model: Annotated[str, arg(metavar="NAME|FILE.py|PACKAGE.MODULE")] = "linear"
    """Generator and discriminator: a pair of gan_dist/models, or classes of these names in a module of your own."""
    model_args: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ..."), Rule(before=())] = ()
    """Further arguments for the constructors of --model."""
    latent_dim: int = 100
    """Length of the noise vector."""
    conditional: Annotated[bool, Rule(before=False)] = False
    """Give both networks the labels of the images, so that a class can be asked for."""
    clusters: Annotated[int | None, Rule(before=None)] = None
    """Instead of labels give them which of this many clusters an image is in; needs --conditional."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    objective: Annotated[Objective, Rule(before="bce")] = "bce"
    """Losses of D and G: binary cross-entropy, hinge, least squares, Wasserstein with penalty, or of pairs."""
    r1: Annotated[float, WAS_ZERO] = 0.0
    """Weight of the R1 penalty: the squared gradient of D on real images, times half of this weight."""
    r1_every: Annotated[int, Rule(before=1)] = 1
    """Steps between two R1 penalties, each of which counts for all of them."""
    mismatch: Annotated[float, WAS_ZERO] = 0.0
    """Weight of a term that teaches D to tell a real image's label from another one; needs --conditional."""
    mismatch_all: Annotated[bool, Rule(before=False)] = False
    """Compare it with all other labels instead of with one that is drawn."""
    mismatch_falls: Annotated[bool, Rule(before=True)] = True
    """Let the weight --mismatch fall with the learning rates."""
    r2: Annotated[float, WAS_ZERO] = 0.0
    """Weight of the R2 penalty: the same on generated images."""
    r2_every: Annotated[int, Rule(before=1)] = 1
    """Steps between two R2 penalties, each of which counts for all of them."""
    lr_g: float = 2e-4
    """Learning rate of the generator."""
    lr_d: float = 2e-4
    """Learning rate of the discriminator."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's beta1 and beta2: the decay rates of its first and second moment."""
    lr_schedule: Annotated[Literal["constant", "linear", "cosine"], Rule(before="constant")] = "constant"
    """How both learning rates fall until the end of the run, whose length then may not change."""
    lr_warmup: Annotated[int, WAS_ZERO] = 0
    """Number of images over which learning rates rise linearly to their value."""
    lr_decay_start: Annotated[float, WAS_ZERO] = 0.0
    """Share of the run after which learning rates begin to fall, from 0 to less than 1."""
    lr_end: Annotated[float, WAS_ZERO] = 0.0
    """Share of the learning rates that is left at the end, from 0 to 1."""
    ema: Annotated[int, WAS_ZERO] = 0
    """Half-life, in images, of a running average of G's weights, which then makes all pictures [0: none]."""
    clip_grad_norm: float | None = None
    """Clip the gradient of each network to this Euclidean norm [None: no clipping]."""
    accumulate: int = 1
    """Gradient accumulation: split the batch of each process into this many parts, to save memory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    resume: Annotated[str, arg(metavar="auto|never|DIR")] = "auto"
    """auto: from the newest checkpoint in --run-dir, if any; never: start anew; DIR: from this checkpoint or run."""
    checkpoint_every: Annotated[int, FREE] = 1000
    """Steps between two checkpoints; the last step always has one."""
    checkpoint_minutes: Annotated[float, FREE] = 10.0
    """Minutes between two checkpoints, if that comes first."""
    keep_checkpoints: Annotated[int, FREE] = 3
    """Number of checkpoints to keep, the newest ones."""
    timeout_minutes: Annotated[float, FREE] = 10.0
    """Minutes that a process waits for the others before it treats them as dead."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    tracker: Annotated[str, FREE] = "wandb"
    """Dashboards: wandb, trackio, tensorboard, several separated by commas, or none."""
    log_every: Annotated[int, FREE] = 100
    """Steps between two rows of metrics."""
    sample_every: Annotated[int, FREE] = 1000
    """Steps between two pictures of generated images and two histograms."""
    eval_every: Annotated[float, Rule(is_free=True, may_be_zero=True)] = 1.0
    """Epochs between two evaluations of the generator, also a part of one; the end of a run has one, too [0: none]."""
    eval_images: Annotated[int, FREE] = 10_000
    """Number of images to evaluate."""
    num_samples: Annotated[int, FREE] = 64
    """Number of images in a picture."""

    @property
    def trackers(self) -> list[str]:
        """The names in --tracker; [] for none, or for `no`, as a yaml file may say."""
        is_none = self.tracker.lower() in ("none", "no", "off", "false")
        return [] if is_none else [name.strip() for name in self.tracker.split(",")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that a run can be told."""

    run: Run = Run()
    data: Data = Data()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    checkpoint: Checkpoint = Checkpoint()
    output: Output = Output()
    print_config: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the resolved configuration as yaml and stop."""

    def to_dict(self) -> dict[str, Any]:
        """{option: value} in the order of --help. Without --run-dir and --resume, which say where and not what."""
        groups = [group for group in vars(self).values() if dataclasses.is_dataclass(group)]
        options = {name: value for group in groups for name, value in vars(group).items()}
        del options["run_dir"], options["resume"]
        return {name.replace("_", "-"): list(v) if isinstance(v, tuple) else v for name, v in options.items()}

    def bound(self) -> dict[str, Any]:
        """What of `to_dict` a resumed run must share with the run that it continues."""
        names = {name for name, rule in RULES.items() if not rule.is_free}
        if self.optimizer.lr_schedule != "constant":
            names |= {"epochs", "max-steps"}  # learning rates depend on the length of the run
        return {name: value for name, value in self.to_dict().items() if name in names}

    def to_yaml(self) -> str:
        """The text of a recipe that `--recipe` reads back to an equal Config."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def _rules() -> dict[str, Rule]:
    hints: dict[str, Any] = {}
    for group in (Run, Data, Model, Optimizer, Checkpoint, Output):
        hints |= get_type_hints(group, include_extras=True)
    said = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name.replace("_", "-"): next((x for x in xs if isinstance(x, Rule)), Rule()) for name, xs in said.items()}


RULES = _rules()


def unrecorded() -> Config:
    """The options of a run that records none: an old run does not know those that came after it."""
    groups: dict[str, Any] = {}
    for name, group in vars(Config()).items():
        if dataclasses.is_dataclass(group):
            before = {option: RULES[option.replace("_", "-")].before for option in vars(group)}
            known: dict[str, Any] = {option: value for option, value in before.items() if value is not NOT_SAID}
            groups[name] = dataclasses.replace(group, **known)  # type: ignore[type-var]
    return Config(**groups)
