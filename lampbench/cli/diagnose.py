"""`lampbench diagnose`: what each stage of a method's training made of the users' own words."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import options

if TYPE_CHECKING:
    from lampbench.report.statistics import Paired
    from lampbench.study.diagnose import Diagnosis


@click.command()
@options.combinations
@options.dataset
@options.hyper
@options.machine
@options.cache_dir
@options.plugins
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def diagnose(form: str, **choices: Any) -> None:
    """Score the users' own words under every stage of a method that was run before.

    Likelihoods tell whether training on a user's past helped with what the user wrote next, where
    ROUGE is too coarse to see; reward margins tell whether preferences were learned, and whether
    they hold on queries that nobody trained on; and, where decoding is contrastive, the tokens
    that the contrast chooses along the users' own words. Nothing is trained.
    """
    from lampbench.execution.options import RunOptions, plans
    from lampbench.study.diagnose import diagnose_plan
    from lampbench.util.disk import writable
    from lampbench.util.progress import Progress

    writable(choices["cache_dir"], "--cache-dir")
    found = []
    for plan in plans(RunOptions(**choices), options.CACHE_DIR, Progress()):
        context = plan.spec
        names = {"method": plan.method.name, "task": context.task.name,
                 "model": context.model, "seed": context.seed}  # fmt: skip
        found.append((names, diagnose_plan(plan)))
    if form == "json":
        records = [{**names, **dataclasses.asdict(result)} for names, result in found]
        click.echo(json.dumps(records, indent=1))
    else:
        for names, result in found:
            click.echo(_text(names, result))


def _text(names: dict[str, Any], found: "Diagnosis") -> str:
    from tabulate import tabulate

    likelihoods = [[one.stage, f"{one.nats:.3f}", *_gain(one.gain)] for one in found.likelihoods]
    preferences = [
        [one.on, one.stage, f"{one.margin:+.2f}", f"{one.right:.2f}", one.pairs]
        for one in found.preferences
    ]
    lines = [
        "{method} on {task}, {model}, seed {seed}".format(**names),
        "",
        tabulate(likelihoods, disable_numparse=True, headers=[
            "stage", "nats a token", "gain over the stage before", *_TESTED
        ]),
        "",
        "Test references: mean negative log-probability; p by exchange of users.",
        "",
    ]  # fmt: skip
    if preferences:
        heads = ["pairs", "stage", "reward margin (nats)", "right", "n"]
        lines += [tabulate(preferences, headers=heads, disable_numparse=True), ""]
    if found.changes:
        choices = [[one.by, f"{one.right:.3f}", *_gain(one.gain)] for one in found.choices]
        heads = ["next token by", "right", "gain over the row before", *_TESTED]
        changes = found.changes
        lines += [
            tabulate(choices, headers=heads, disable_numparse=True),
            "",
            "Right: the share of a test reference's tokens, up to the token budget, that would be "
            "chosen after its own words.",
            f"The contrast chooses another token than the user's model at {changes.changed} of "
            f"{changes.tokens}: {changes.before} of these were right, {changes.after} are.",
            "",
        ]
    return "\n".join(lines)


_TESTED = ("p", "users better/worse")


def _gain(found: "Paired | None") -> list[str]:
    """A paired gain as cells: mean and interval, p, users."""
    if found is None:
        return []
    gain = found.difference
    return [
        f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
        f"{found.exchange:.4f}",
        f"{found.better}/{found.worse}",
    ]
