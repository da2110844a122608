"""What checking a submission found."""

from dataclasses import dataclass, field
from pathlib import Path

from lampbench.record.recorded_run import Run
from lampbench.record.submission import Submission


@dataclass(slots=True)
class SubmissionFindings:
    """What holds, what cannot be checked here and why, and what is refused; a line each."""

    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VerifiedSubmission:
    """The findings on a folder as a whole, and on each of its runs."""

    folder: Path
    submission: Submission | None
    whole: SubmissionFindings
    runs: tuple[tuple[Run, SubmissionFindings], ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is refused."""
        return not self.whole.refused and not any(found.refused for _, found in self.runs)
