"""A pytest plugin that writes the outcomes of tests after each one: a killed run keeps them."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.found import save

_KEPT = 20  # failures whose error is kept


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the file."""
    parser.addoption("--outcomes", type=Path, required=True, help="File for the outcomes.")


def pytest_configure(config: pytest.Config) -> None:
    """Start to listen."""
    config.pluginmanager.register(_Outcomes(config.getoption("--outcomes")))


class _Outcomes:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._page: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0, "failures": {}}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: when it ran, or when its preparation ended it."""
        if report.when != "call" and report.passed:
            return
        self._page[report.outcome] += 1
        if report.failed and len(self._page["failures"]) < _KEPT:
            lines = report.longreprtext.splitlines()
            reasons = [line for line in lines if line.startswith("E ")]
            self._page["failures"][report.nodeid] = "\n".join((reasons or lines)[-3:])
        save(self._file, self._page)
