"""`lampbench diagnose`: what each training stage of a method learned about its users."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command
from lampbench.cli.output import echo_json

if TYPE_CHECKING:
    from lampbench.report.statistics import Paired
    from lampbench.study.diagnose import Diagnosis
    from lampbench.study.swapped_adapters import Swap


@click.command(cls=Command)
@options.combinations
@options.dataset
@options.machine
@options.hyper
@options.cache_dir
@options.output_format
def diagnose(form: str, **choices: Any) -> None:
    """Measure what each training stage of a method learned. The method must have been run before.

    Likelihoods of the users' own texts show whether training on a user's history helped with what
    the user wrote next, even where ROUGE shows no difference. Another user's
    adapter in place of the user's own shows how much of it is personal. Reward margins show whether
    preferences were learned and whether they hold on test queries. For contrastive decoding, the
    next tokens that the contrast chooses along the users' own texts are counted too. Nothing is
    trained.
    """
    from lampbench import api
    from lampbench.study.diagnose import diagnose_plan

    found = []
    for plan in api.plan(**choices):
        context = plan.spec
        names = {"method": plan.method.name, "task": context.task.name,
                 "model": context.model, "seed": context.seed}  # fmt: skip
        found.append((names, diagnose_plan(plan)))
    if form == "json":
        records = [{**names, **dataclasses.asdict(result)} for names, result in found]
        echo_json({"diagnoses": records})
    else:
        for names, result in found:
            click.echo(_text(names, result))


def _text(names: dict[str, Any], found: "Diagnosis") -> str:
    from lampbench.util.fitted_table import fitted_table

    likelihoods = [[one.stage, f"{one.nats:.3f}", *_gain(one.gain)] for one in found.likelihoods]
    preferences = [
        [one.on, one.stage, f"{one.margin:+.2f}", f"{one.right:.2f}", one.pairs]
        for one in found.preferences
    ]
    lines = [
        "{method} on {task}, {model}, seed {seed}".format(**names),
        "",
        fitted_table(likelihoods, [
            "stage", "nats per token", "gain over stage before", *_TESTED
        ], disable_numparse=True),
        "",
        "nats per token: mean negative log-probability of the test references; a gain is a "
        "decrease. p: permutation test over users.",
        "",
    ]  # fmt: skip
    if found.swaps:
        lines += _swaps(found.swaps)
    if preferences:
        heads = ["pairs from", "stage", "reward margin (nats)", "margin above 0", "pairs"]
        lines += [
            fitted_table(preferences, heads, disable_numparse=True),
            "",
            "A pair is the user's own text and another one. reward margin: the reward of the "
            "user's text minus that of the other, mean over pairs. margin above 0: the share of "
            "pairs where the user's text has the higher reward.",
            "",
        ]
    if found.changes:
        choices = [[one.by, f"{one.right:.3f}", *_gain(one.gain)] for one in found.choices]
        heads = ["next token by", "correct", "gain over row before", *_TESTED]
        changes = found.changes
        lines += [
            fitted_table(choices, heads, disable_numparse=True),
            "",
            "correct: the share of a test reference's tokens, up to the token budget, that are "
            "chosen when the reference's earlier tokens are given.",
            f"The contrast changes the token that the user's model chooses at {changes.changed} of "
            f"{changes.tokens} positions: {changes.before} were correct before, {changes.after} "
            "are correct after.",
            "",
        ]
    return "\n".join(lines)


def _swaps(found: "Sequence[Swap]") -> list[str]:
    from lampbench.util.fitted_table import fitted_table

    rows = [
        [
            one.stage,
            *(f"{nats:.3f}" for nats in (one.without, one.own, one.another)),
            *_gain(one.gain),
        ]
        for one in found
    ]
    heads = ["adapter of", "without", "own", "another's", "own over another's", *_TESTED]
    return [
        fitted_table(rows, heads, disable_numparse=True),
        "",
        "nats per token without the user's adapter, with the user's own, and with another user's "
        "(the one whose adapter `AnotherUsers` takes). What own does not gain over another's is "
        "not personal.",
        "",
    ]


_TESTED = ("p", "users better / worse")


def _gain(found: "Paired | None") -> list[str]:
    """A paired gain as cells: mean and interval where there is one, p, users."""
    if found is None:
        return []
    gain = found.difference
    ends = f" [{gain.low:+.3f}, {gain.high:+.3f}]" if gain.bounded else ""
    return [
        f"{gain.mean:+.3f}{ends}",
        f"{found.exchange:.4f}",
        f"{found.better} / {found.worse}",
    ]
