"""Alerts: when somebody should look at a run. docs/tracking.md defines the same in words."""

from collections.abc import Mapping
from typing import NamedTuple

WINNING_ACCURACY = 0.99
ROWS = 20
BLIND_LOGITS = 0.001
LARGEST_CLASS = 0.9
MUCH_WORSE = 2.0
COLLAPSED_DIVERSITY = 0.1


class Alert(NamedTuple):
    title: str
    text: str


class Watch:
    """Checks rows and samples; reports each problem once, and again only after it was over."""

    def __init__(self) -> None:
        self._rows_won = self._rows_blind = 0
        self._collapsed = self._uniform = self._worse = False

    def row(self, step: int, numbers: Mapping[str, float]) -> Alert | None:
        """Alert if for many rows D was nearly always right, so that G learns nothing from it, or could not tell."""
        won = min(numbers["accuracy_real"], numbers["accuracy_fake"]) >= WINNING_ACCURACY
        blind = abs(numbers["logit_real"] - numbers["logit_fake"]) < BLIND_LOGITS
        self._rows_won = self._rows_won + 1 if won else 0
        self._rows_blind = self._rows_blind + 1 if blind else 0
        if self._rows_won == ROWS:
            text = f"step {step}: D was right on {WINNING_ACCURACY:.0%} or more of real and fake for {ROWS} rows"
            return Alert("D wins", f"{text}; a lower --lr-d may help")
        if self._rows_blind == ROWS:
            text = f"step {step}: D gave real and fake the same logits, but for {BLIND_LOGITS}, for {ROWS} rows"
            return Alert("D does not learn", f"{text}; a higher --lr-d may help")
        return None

    def evaluation(self, step: int, figures: Mapping[str, float], figure: float, best: float) -> list[Alert]:
        """Alert if nearly all images are of one class, or the figure that decides is much worse than the best was."""
        alerts = []
        was, self._uniform = self._uniform, figures.get("eval_largest_class", 0.0) >= LARGEST_CLASS
        if self._uniform and not was:
            alerts.append(
                Alert("One class", f"step {step}: {figures['eval_largest_class']:.0%} of the images are of it")
            )
        was, self._worse = self._worse, figure >= MUCH_WORSE * best
        if self._worse and not was:
            alerts.append(
                Alert("Worse", f"step {step}: the distance to real images is {figure:.3g}, and was {best:.3g}")
            )
        return alerts

    def samples(self, step: int, diversity: float) -> Alert | None:
        """Alert if the generated images hardly differ from each other."""
        was, self._collapsed = self._collapsed, diversity < COLLAPSED_DIVERSITY
        if was or not self._collapsed:
            return None
        return Alert("Collapse", f"step {step}: the samples' diversity is {diversity:.3f} of that of real images")
