"""`lampbench diagnose`: what each stage of a method's training made of the users' own words."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import options

if TYPE_CHECKING:
    from lampbench.diagnosis import Diagnosis


@click.command()
@options.combinations
@options.dataset
@options.hyper
@options.machine
@options.store
@options.plugins
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def diagnose(form: str, **choices: Any) -> None:
    """Score the users' own words under every stage of a method that was run before.

    Likelihoods tell whether training on a user's past helped with what the user wrote next, where
    ROUGE is too coarse to see; reward margins tell whether preferences were learned, and whether
    they hold on queries that nobody trained on. Nothing is trained.
    """
    from lampbench.artifacts import Store
    from lampbench.diagnosis import diagnose as examine
    from lampbench.progress import Progress
    from lampbench.session import Choices, plans

    Store(choices["store"]).prepare()
    found = []
    for plan in plans(Choices(**choices), options.STORE, Progress()):
        context = plan.context
        names = {"method": plan.method.name, "task": context.task.name,
                 "model": context.model, "seed": context.seed}  # fmt: skip
        found.append((names, examine(plan)))
    if form == "json":
        records = [{**names, **dataclasses.asdict(result)} for names, result in found]
        click.echo(json.dumps(records, indent=1))
    else:
        for names, result in found:
            click.echo(_text(names, result))


def _text(names: dict[str, Any], found: "Diagnosis") -> str:
    from tabulate import tabulate

    likelihoods = []
    for one in found.likelihoods:
        row = [one.stage, f"{one.nats:.3f}"]
        if one.gain:
            gain = one.gain.difference
            row += [f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"]
            row += [f"{one.gain.exchange:.4f}", f"{one.gain.better}/{one.gain.worse}"]
        likelihoods.append(row)
    preferences = [
        [one.on, one.stage, f"{one.margin:+.2f}", f"{one.right:.2f}", one.pairs]
        for one in found.preferences
    ]
    lines = [
        "{method} on {task}, {model}, seed {seed}".format(**names),
        "",
        tabulate(likelihoods, disable_numparse=True, headers=[
            "stage", "nats a token", "gain over the stage before", "p", "users better/worse"
        ]),
        "",
        "Test references: mean negative log-probability; p by exchange of users.",
        "",
    ]  # fmt: skip
    if preferences:
        heads = ["pairs", "stage", "reward margin (nats)", "right", "n"]
        lines += [tabulate(preferences, headers=heads, disable_numparse=True), ""]
    return "\n".join(lines)
