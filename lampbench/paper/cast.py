"""The methods and tasks of the paper's experiments, kept as data in `cast.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class AblationRow:
    """A row of Table 3: a method, and which of the two ingredients it has."""

    method: str
    contrastive: bool
    dpo: bool


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Figure 3: the values that are varied, and the method and task that they are varied on.

    `base_models` are the methods of Figure 3a, which differ in the weights that contrastive
    decoding contrasts with. `parameters` are written as for `lampbench sweep --param`.
    """

    method: str
    task: str
    base_models: tuple[str, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contest:
    """A method and the baseline that it is compared with, to answer a question."""

    method: str
    over: str
    question: str


@dataclass(frozen=True, slots=True)
class Control:
    """A method that tests one explanation of the proposed method's gains over `over`.

    `isolates` says in words what it has in common with the proposed method.
    """

    method: str
    over: str
    isolates: str
    question: str


@dataclass(frozen=True, slots=True)
class PenaltyStudy:
    """Methods under several repetition penalties, and pairs of them whose difference is shown.

    A pair is (method, baseline); `parameter` is the path of the penalty.
    """

    parameter: str
    methods: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything in `cast.toml`. Methods are in the order in which tables show them.

    `beyond` are those that the paper does not have, but a comparison in this field should;
    `control_for` names those among them that are controls, each with the method that it is for.
    """

    main: tuple[str, ...]
    examples: tuple[str, ...]
    overview: tuple[str, ...]
    beyond: tuple[str, ...]
    ablation: tuple[AblationRow, ...]
    sensitivity: Sensitivity
    control_for: Mapping[str, str]
    against_nothing: Contest
    personalization: Contest
    proposal: Contest
    controls: tuple[Control, ...]
    penalty: PenaltyStudy

    def methods(self) -> tuple[str, ...]:
        """Every method of the cast once: those of Table 1 first."""
        ablated = [row.method for row in self.ablation]
        controls = [control.method for control in self.controls]
        return tuple(
            dict.fromkeys(
                [*self.main, *ablated, *self.sensitivity.base_models, *controls, *self.beyond]
            )
        )


@cache
def cast() -> Cast:
    """The paper's cast."""
    text = resources.files("lampbench.paper").joinpath("cast.toml").read_text("utf-8")
    data = tomllib.loads(text)
    return Cast(
        main=tuple(data["main"]),
        examples=tuple(data["examples"]),
        overview=tuple(data["overview"]),
        beyond=tuple(data["beyond"]),
        ablation=tuple(AblationRow(**row) for row in data["ablation"]),
        sensitivity=Sensitivity(**_with_tuples(data["sensitivity"])),
        control_for=data["control_for"],
        against_nothing=Contest(**data["against_nothing"]),
        personalization=Contest(**data["personalization"]),
        proposal=Contest(**data["proposal"]),
        controls=tuple(Control(**row) for row in data["control"]),
        penalty=PenaltyStudy(
            data["penalty"]["parameter"],
            tuple(data["penalty"]["methods"]),
            tuple((method, over) for method, over in data["penalty"]["pairs"]),
        ),
    )


def _with_tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
