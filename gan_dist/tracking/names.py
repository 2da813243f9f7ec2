"""Every metric: its column in metrics.jsonl, its name in dashboards, what it means. Adding one takes a row here."""

from typing import NamedTuple


class Metric(NamedTuple):
    column: str
    name: str
    meaning: str
    is_measured: bool = False  # it differs between two runs of one configuration


METRICS = (
    Metric("step", "train/step", "steps done; the axis of everything"),
    Metric("epoch", "train/epoch", "passes over the data set that are done"),
    Metric("images_seen", "train/images_seen", "real images seen, over all processes"),
    Metric("images_per_second", "train/images_per_second", "over all processes, since the last row", True),
    Metric("data_wait_ms", "train/data_wait_ms", "what a step waited for its images and noise", True),
    Metric("loss_d", "D/loss", "at this step; the summary has its minimum, maximum and last"),
    Metric("loss_g", "G/loss", "at this step; the summary has its minimum, maximum and last"),
    Metric("logit_real", "D/logit_real", "mean of D's logits on real images"),
    Metric("logit_fake", "D/logit_fake", "mean of D's logits on generated images"),
    Metric("accuracy_real", "D/accuracy_real", "share of real images that D takes for real"),
    Metric("accuracy_fake", "D/accuracy_fake", "share of generated images that D takes for generated"),
    Metric("penalty_d", "D/penalty", "what gradient penalties added to D's loss, the last time that they did"),
    Metric("grad_norm_d", "D/grad_norm", "Euclidean norm of D's gradient, before clipping"),
    Metric("grad_norm_g", "G/grad_norm", "Euclidean norm of G's gradient, before clipping"),
    Metric("lr_d", "D/lr", "learning rate of D"),
    Metric("lr_g", "G/lr", "learning rate of G"),
    Metric("loss_scale_d", "D/loss_scale", "D's loss scale, with fp16"),
    Metric("loss_scale_g", "G/loss_scale", "G's loss scale, with fp16"),
    Metric("skipped_d", "D/skipped_steps", "updates of D left out since a gradient overflowed, with fp16"),
    Metric("skipped_g", "G/skipped_steps", "updates of G left out since a gradient overflowed, with fp16"),
    Metric(
        "eval_frechet_distance", "eval/frechet_distance", "of generated from real images, in a classifier's features"
    ),
    Metric("eval_kernel_distance", "eval/kernel_distance", "the same with a kernel, without bias: 0 if they are alike"),
    Metric("eval_precision", "eval/precision", "share of generated images that are as real ones"),
    Metric("eval_recall", "eval/recall", "share of real images that are as generated ones"),
    Metric("eval_density", "eval/density", "precision that counts how many real images are near"),
    Metric("eval_coverage", "eval/coverage", "share of real images with a generated one near"),
    Metric("eval_digit_kl", "eval/digit_kl", "divergence of the frequencies of classes from the real ones, in nats"),
    Metric("eval_largest_class", "eval/largest_class", "share of the most frequent class"),
    Metric("eval_duplicates", "eval/duplicates", "share of generated images with another that is all but the same"),
    Metric("eval_as_asked", "eval/as_asked", "share of generated images that are of the class that was asked for"),
    Metric(
        "eval_sliced_distance", "eval/sliced_distance", "sliced Wasserstein distance, for data without a classifier"
    ),
    Metric("eval_seconds", "eval/seconds", "what the evaluation took", True),
    Metric(
        "not_finite", "train/not_finite", "1 in the last row of a run that ended as a loss or a weight was not finite"
    ),
    Metric("peak_memory_gb", "system/peak_memory_gb", "most memory held, of the GPU or of the process", True),
    Metric("gpu_utilization", "system/gpu_utilization", "percent of the last second that the GPU worked", True),
)
EVAL = "eval_"  # how columns of an evaluation begin
MEASURED = frozenset(metric.column for metric in METRICS if metric.is_measured)
_NAMES = {metric.column: metric.name for metric in METRICS}


def dashboard_name(column: str) -> str:
    """A column's name in dashboards; a column that is not in METRICS keeps its own."""
    return _NAMES.get(column, column)
