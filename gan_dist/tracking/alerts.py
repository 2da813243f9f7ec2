"""Alerts: when somebody should look at a run. docs/tracking.md defines the same in words."""

from typing import NamedTuple

WINNING_ACCURACY = 0.99
WINNING_ROWS = 20
COLLAPSED_DIVERSITY = 0.1


class Alert(NamedTuple):
    title: str
    text: str


class Watch:
    """Checks rows and samples; reports each problem once, and again only after it was over."""

    def __init__(self) -> None:
        self._rows_won = 0
        self._collapsed = False

    def row(self, step: int, accuracy_real: float, accuracy_fake: float) -> Alert | None:
        """Alert if D is nearly always right for many rows: G then learns nothing from it."""
        won = min(accuracy_real, accuracy_fake) >= WINNING_ACCURACY
        self._rows_won = self._rows_won + 1 if won else 0
        if self._rows_won != WINNING_ROWS:
            return None
        text = f"step {step}: D was right on {WINNING_ACCURACY:.0%} or more of real and fake for {WINNING_ROWS} rows"
        return Alert("D wins", f"{text}; a lower --lr-d may help")

    def samples(self, step: int, diversity: float) -> Alert | None:
        """Alert if the generated images hardly differ from each other."""
        was, self._collapsed = self._collapsed, diversity < COLLAPSED_DIVERSITY
        if was or not self._collapsed:
            return None
        return Alert("Collapse", f"step {step}: the samples' diversity is {diversity:.3f} of that of real images")
