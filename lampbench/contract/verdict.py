"""What a check found out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "note", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict of one check.

    `message` says what to change (failed), what is worth knowing (note), why the check could not
    be made (skipped), or what was compared (passed). Only `failed` breaks the contract.
    """

    check: str
    verdict: Verdict
    message: str


def passed(check: str, message: str) -> CheckResult:
    """Nothing is wrong."""
    return CheckResult(check, "passed", message)


def failed(check: str, message: str) -> CheckResult:
    """The contract is broken."""
    return CheckResult(check, "failed", message)


def note(check: str, message: str) -> CheckResult:
    """Nothing is wrong, but the author should know."""
    return CheckResult(check, "note", message)


def skipped(check: str, message: str) -> CheckResult:
    """The check would say nothing here."""
    return CheckResult(check, "skipped", message)


def all_kept(results: Sequence[CheckResult]) -> bool:
    """Whether no check failed."""
    return all(result.verdict != "failed" for result in results)
