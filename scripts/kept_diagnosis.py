"""What docs/findings.md may ask of the diagnoses that are kept in tuning/diagnoses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lampbench.report.table import Number

DIAGNOSES = Path(__file__).resolve().parents[1] / "tuning/diagnoses"


@dataclass(frozen=True)
class Measured:
    """A difference with its interval, and for how many of the users it is above zero."""

    shown: str
    better: int
    users: int

    def __str__(self) -> str:
        return self.shown


class Diagnosed:
    """What `lampbench diagnose --format json` printed: differences with their 95% intervals.

    Likelihoods are in nats per token, choices in percent of the tokens.
    """

    def __init__(self, file: Path) -> None:
        (self._found,) = json.loads(file.read_text("utf-8"))["diagnoses"]

    def gain(self, stage: str) -> Measured:
        """How much likelier a stage makes the users' own texts than the stage before."""
        return self._one("likelihoods", stage=stage)

    def own_over_another(self, stage: str) -> Measured:
        """How much likelier a user's own adapter makes the user's texts than another user's."""
        return self._one("swaps", stage=stage)

    def choice(self, by: str) -> Measured:
        """How much more often the user's next token is chosen than in the row before."""
        return self._one("choices", 100.0, by=by)

    @property
    def changes(self) -> Mapping[str, int]:
        """The contrast's other choices: all `tokens`, `changed`, right `before` and `after`."""
        changes: Mapping[str, int] = self._found["changes"]
        return changes

    def _one(self, part: str, unit: float = 1.0, **named: str) -> Measured:
        (row,) = (row for row in self._found[part] if row | named == row)
        gain = row["gain"]
        low, mean, high = (unit * gain["difference"][end] for end in ("low", "mean", "high"))
        digits = 1 if unit > 1 else 3
        number = Number(mean, digits, low, high, signed=True)
        users = gain["better"] + gain["equal"] + gain["worse"]
        return Measured(f"{number.text()} {number.interval()}", gain["better"], users)
