"""Tests of the contract for packages with plugins; pytest loads this plugin by itself.

One line tests everything that `lampbench check` does, one test per check:

    from lampbench.testing import contract_test

    test_contract = contract_test("method", "nearest")

The fixture `check_contract` does the same inside a test, and for classes:

    def test_nearest(check_contract):
        check_contract("method", Nearest)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lampbench.contract.verdict import CheckResult
    from lampbench.contract.workshop import Workshop

__all__ = ["check_contract", "contract_test", "lampbench_workshop"]

CheckContract = Callable[..., list["CheckResult"]]


@pytest.fixture(scope="session")
def lampbench_workshop() -> "Iterator[Workshop]":
    """What all checks of a session share: a tiny model, its engine, another process."""
    from lampbench.contract.workshop import workshop

    with workshop() as made:
        yield made


@pytest.fixture
def check_contract(lampbench_workshop: "Workshop") -> CheckContract:
    """A function `(kind, plugin, plugins=(), task=None)` that checks a plugin.

    `plugin` is a name or a class, `plugins` are files or folders in which a name is looked for, and
    `task` is the name of the task on which a method is tried. It returns all results, and fails the
    test if a check failed.
    """

    def check(
        kind: str, plugin: str | type, *, plugins: Sequence[str] = (), task: str | None = None
    ) -> "list[CheckResult]":
        from lampbench.contract.check import check_plugin

        found = list(check_plugin(kind, plugin, lampbench_workshop, plugins=plugins, task=task))
        broken = [f"{one.check}: {one.message}" for one in found if one.verdict == "failed"]
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)
        return found

    return check


def contract_test(
    kind: str, plugin: str | type, *, plugins: Sequence[str] = (), task: str | None = None
) -> Callable[..., None]:
    """A test function for a module's `test_...` name, with one test per check of the contract.

    Arguments as for `check_contract`.
    """
    from lampbench.contract.check import checks_of

    asked: dict[int, Any] = {}

    @pytest.mark.parametrize("check", checks_of(kind))
    def test(check: str, lampbench_workshop: "Workshop") -> None:
        from lampbench.contract.check import examination
        from lampbench.contract.subject import find_subject

        if id(lampbench_workshop) not in asked:
            subject = find_subject(kind, plugin, plugins)
            asked[id(lampbench_workshop)] = examination(subject, lampbench_workshop, task)
        result = asked[id(lampbench_workshop)](check)
        if result.verdict == "failed":
            pytest.fail(result.message, pytrace=False)
        if result.verdict == "skipped":
            pytest.skip(result.message)

    return test
