"""Hyper-parameters that would never be set are refused, wherever a method comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lampbench.contract.subject import method_with
from lampbench.plugin import (
    BM25,
    AnotherUsersPrompt,
    Greedy,
    Method,
    Part,
    RetrievalAugmented,
    Retriever,
    hyper,
)
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError


def skipped():
    return hyper("records left out", default=0, low=0)


class Undecorated(Retriever):
    """The earliest records."""

    skip: int = skipped()

    def rank(self, context, user, item, history, k):
        return list(history)[self.skip :][:k]


class Undeclared(Part):
    """A part that is no dataclass."""

    section = "undeclared"


@dataclass(frozen=True)
class Homeless(Part):
    """A part without a section."""

    skip: int = skipped()


@dataclass(frozen=True)
class Sound(Part):
    """A part as it should be."""

    section = "sound"
    skip: int = skipped()


class Shorter(Greedy):
    """A value that is no field's: the class is no dataclass of its own."""

    max_new_tokens = 5


@dataclass(frozen=True)
class Fewer(RetrievalAugmented):
    """A value that is no field's: it has no type."""

    k = 1


@dataclass(frozen=True)
class Another(AnotherUsersPrompt):
    """A part that is no field's."""

    prompting = RetrievalAugmented()


@dataclass(frozen=True, slots=True)
class One(RetrievalAugmented):
    """A value as it should be."""

    k: int = 1


@dataclass(frozen=True)
class Several(Part):
    """Parts in a tuple."""

    parts: tuple[Part, ...] = (BM25(), Sound())


@dataclass(frozen=True)
class Named(Part):
    """Parts in a mapping."""

    parts: Mapping[str, list[Part]] = field(default_factory=lambda: {"a": [RetrievalAugmented()]})


class OfItsOwn(Method):
    """A setting in the method."""

    title = "Own"
    skip: int = skipped()


@dataclass
class OfADataclass(Method):
    """A setting in a method that is a dataclass."""

    title = "Dataclass"
    skip: int = skipped()


class WithParts(Method):
    """Settings in parts."""

    title = "Parts"
    sound = Sound()
    prompting = RetrievalAugmented(k=2)


def with_part(part: Part) -> type[Method]:
    return type("WithPart", (WithParts,), {"extra": part, "__doc__": "One more part."})


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (OfItsOwn, r"OfItsOwn\.skip is a hyper\(\) of the method itself.*declare it in a part"),
        (OfADataclass, r"OfADataclass\.skip is a hyper\(\) of the method itself"),
        (with_part(Undeclared()), "the part Undeclared is no dataclass; put @dataclass"),
        (with_part(Homeless()), 'Homeless has hyper-parameters and no section; set section = "NA'),
        (with_part(RetrievalAugmented(retriever=Undecorated())), r"Undecorated\.skip is never set"),
        (
            with_part(Shorter()),
            r"Shorter\.max_new_tokens is never used.*write max_new_tokens: TYPE",
        ),
        (with_part(Fewer()), r"the value Fewer\.k is never used, because it is no field"),
        (with_part(Several()), r"Several\.parts holds the part Sound among others"),
        (with_part(Named()), r"Named\.parts holds the part RetrievalAugmented among others"),
        (type("Listed", (WithParts,), {"extra": [Sound()]}), r"Listed\.extra holds the part Sound"),
        (with_part(Another()), r"the value Another\.prompting is never used"),
    ],
)
def test_a_setting_that_would_never_be_set_is_refused(method: type[Method], said: str) -> None:
    with pytest.raises(LampbenchError, match=said):
        Registry().method(method)


def test_the_settings_of_parts_are_accepted() -> None:
    assert isinstance(Registry().method(WithParts), WithParts)
    assert isinstance(Registry().method(with_part(One())), WithParts)
    assert isinstance(Registry().method(with_part(Several((BM25(), Sound(3))))), WithParts)


def test_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from lampbench.plugin import Method, hyper, register_method\n\n\n"
        '@register_method("mine")\nclass Mine(Method):\n    k: int = hyper("how many", default=1)\n'
    )
    with pytest.raises(LampbenchError, match=r"is broken: .*mine\.py:4: Mine\.k is a hyper\(\)"):
        Registry([file]).method("mine")


def test_a_part_that_is_checked_by_itself_is_refused() -> None:
    with pytest.raises(
        LampbenchError, match=r"test_declared_settings\.py:\d+: .*Undecorated\.skip"
    ):
        method_with("retriever", Undecorated)
