"""Rewrites recorded runs of format 1 as format 2, once.

    python scripts/convert_results.py OLD_CHECKOUT FROM TO

Every run of FROM is planned twice: by the code of OLD_CHECKOUT, which must give the recorded keys
of the run and its stages, and by today's, which gives the new ones. It is written under TO with
its answers and scores unchanged: they are read again and compared with the old ones, value by
value. Times, costs, versions and hardware are those that were recorded.
"""

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lampbench.core.dataset import Dataset
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.dataset_files import record_dataset
from lampbench.record.manifest import Manifest, StageCost
from lampbench.record.runs import load_runs
from lampbench.record.typed_json import from_json
from lampbench.record.write import write_run
from lampbench.run import options as run_options
from lampbench.run.fill_manifest import method_parts, model_details
from lampbench.run.options import RunOptions, engine_pool, grid_plans
from lampbench.scoring import PredictionRow, ScoreTable, ScoringDescription
from lampbench.util.machine import Hardware
from lampbench.util.progress import Progress

CACHE = Path(".lampbench")
STAGES = {"best_of_n": "lowest_reward"}
METRICS = {"clipped": "truncated"}
OPTIONS = {
    "--part": "--split",
    "--split": "--split-by",
    "--only": "--experiment",
    "--template": "--chat-template",
    "--backend": "--engine",
    "--store": "--cache-dir",
}

OLD_KEYS = """
import json, sys
from pathlib import Path
import lampbench.session as session
from lampbench.session import Choices, engine_pool, grid_plans
from lampbench.hyper import Given
from lampbench.progress import Progress

read, known = session.load, {}
def load(task, source, options):
    place = task.name, source, repr(options)
    if place not in known:
        known[place] = read(task, source, options)
    return known[place]
session.load = load
Progress.say = lambda self, text: None
found = {}
for file in sorted(Path(sys.argv[1]).rglob("manifest.json")):
    old = json.loads(file.read_text())
    asked = old["dataset"]["asked"]
    choices = Choices(methods=[old["method"]], tasks=[old["task"]], models=[old["model"]],
        seeds=[old["seed"]], data=asked["data"], users=asked["users"],
        min_history=asked["min_history"], split=asked["split"], parts=tuple(asked["parts"]),
        data_seed=asked["seed"], preset=old["preset"], fidelity=old["fidelity"],
        store=Path(sys.argv[2]))
    point = {path: Given(tuple(one["value"]) if isinstance(one["value"], list) else one["value"],
                         one["source"]) for path, one in old["parts"].items()}
    ((_, plan),) = grid_plans(choices, [point], Path("r"), engine_pool(choices, Progress()))
    keys = plan.context.keys
    stages = [[stage.name, keys.joint(stage.recipe, stage.owners)] for stage in plan.stages]
    found[str(file)] = [plan.folder.name, stages]
print(json.dumps(found))
"""

Progress.say = lambda self, text: None  # type: ignore[method-assign]
_load, _datasets = run_options.load, {}


def load(task, source, options) -> Dataset:
    """As `lampbench.data.load`, each dataset once."""
    place = task.name, source, repr(options)
    if place not in _datasets:
        _datasets[place] = _load(task, source, options)
    return _datasets[place]


run_options.load = load


def rows_of(file: Path) -> list[dict]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def plan_of(old: dict, root: Path):
    """Today's plan of a recorded run: all its hyper-parameters are given."""
    asked = old["dataset"]["asked"]
    chosen = RunOptions(
        methods=[old["method"]],
        tasks=[old["task"]],
        models=[old["model"]],
        seeds=[old["seed"]],
        data=asked["data"],
        users=asked["users"],
        min_history=asked["min_history"],
        split_by=asked["split"],
        splits=tuple(asked["parts"]),
        data_seed=asked["seed"],
        preset=old["preset"],
        fidelity=old["fidelity"],
        cache_dir=CACHE,
    )
    point = {
        path: SourcedValue(
            tuple(one["value"]) if isinstance(one["value"], list) else one["value"], one["source"]
        )
        for path, one in old["parts"].items()
    }
    ((_, plan),) = grid_plans(chosen, [point], root, engine_pool(chosen, Progress()))
    assert {p: s.value for p, s in plan.settings.items()} == {
        p: s.value for p, s in point.items()
    }, "a hyper-parameter was added, lost or changed"
    return plan


def command_of(text: str) -> str:
    """A command with today's names of options."""
    words, kept = shlex.split(text), []
    for word in words:
        name, sign, value = word.partition("=")
        kept.append(OPTIONS.get(name, name) + sign + value if word.startswith("--") else word)
    return shlex.join(kept)


def renamed(names: dict, words: dict) -> dict:
    """The same values under today's names."""
    return {words.get(name, name): value for name, value in names.items()}


def convert(folder: Path, target: Path, keys: list) -> Path:
    """Write one run under its new key; `keys` are those that the old code gives."""
    old = json.loads((folder / "manifest.json").read_text())
    recorded = [[s["stage"], s["key"]] for s in old["stages"] if s["stage"] != "predict"]
    assert keys == [old["key"], recorded], f"{folder}: the old code plans other keys"
    plan = plan_of(old, target)
    executor = plan.executor
    new_keys = {s.name: executor.keys.joint(s.recipe, s.owners) for s in plan.stages}
    stages = []
    for one in old["stages"]:
        one = {**one, "stage": STAGES.get(one["stage"], one["stage"])}
        one["prompts_shortened"] = one.pop("cut")
        one["key"] = plan.folder.name if one["stage"] == "predict" else new_keys[one["stage"]]
        stages.append(from_json(StageCost, one))
    assert [s.name for s in plan.stages] == [s.stage for s in stages[:-1]]
    data = record_dataset(target, executor.dataset, executor.task)
    before = old["dataset"]
    for name in ("source", "fingerprint", "query_fingerprint", "synthetic", "train_users",
                 "test_users", "queries"):  # fmt: skip
        assert getattr(data, name) == before[name], f"{folder}: dataset.{name} differs"
    data = replace(data, notes=tuple(before["notes"]))
    details = model_details(plan)
    for name, was in old["model_info"].items():
        now = getattr(details, "chat_template" if name == "template" else name)
        assert name == "device" or now == was, f"{folder}: model {name} was {was}, is {now}"
    scoring = old["scoring"]
    manifest = Manifest(
        key=plan.folder.name,
        method=old["method"],
        method_title=old["method_title"],
        task=old["task"],
        task_title=old["task_title"],
        model=old["model"],
        seed=old["seed"],
        preset=old["preset"],
        fidelity=old["fidelity"],
        overrides=old["overrides"],
        method_parts=method_parts(plan),
        hyperparameters={p: SourcedValue(o["value"], o["source"]) for p, o in old["parts"].items()},
        dataset=data,
        model_details=replace(details, device=old["model_info"]["device"]),
        versions=old["versions"],
        hardware=from_json(Hardware, old["hardware"]),
        command=command_of(old["command"]),
        created=old["created"],
        stages=tuple(stages),
        failed_users={},
        prompt_head=tuple(old["prompt_head"]),
        prompts_shortened=old["prompts_cut"],
        scoring=ScoringDescription(
            renamed(scoring["signatures"], METRICS),
            renamed(scoring["missing"], METRICS),
            scoring["versions"],
        ),
    )
    assert "set_aside" not in old
    old_rows = rows_of(folder / "predictions.jsonl")
    predictions = [
        PredictionRow(
            user=row["user"],
            query=row["query"],
            prediction=row["prediction"],
            reference=row["reference"],
            prompt_tokens=row["prompt_tokens"],
            new_tokens=row["new_tokens"],
            prompt_tokens_dropped=row["prompt_cut"],
            truncated=row["clipped"],
            quoted=tuple(row.get("quoted", ())),
        )
        for row in old_rows
    ]
    old_scores = [renamed(row, METRICS) for row in rows_of(folder / "scores.jsonl")]
    order = ["user", "query", *renamed(old["scores"], METRICS)]
    scores = ScoreTable.from_rows(
        [{name: row[name] for name in order if name in row} for row in old_scores]
    )
    run = write_run(target, manifest, predictions, scores)
    # what is read again is what was there, to the bit
    found = [
        {
            "user": row.user, "query": row.query, "prediction": row.prediction,
            "reference": row.reference, "prompt_tokens": row.prompt_tokens,
            "new_tokens": row.new_tokens, "prompt_cut": row.prompt_tokens_dropped,
            "clipped": row.truncated, **({"quoted": list(row.quoted)} if row.quoted else {}),
        }
        for row in run.predictions
    ]  # fmt: skip
    assert exactly(found) == exactly(old_rows), f"{folder}: predictions differ"
    again = [
        {name: row[name] for name in before}
        for row, before in zip(run.scores, old_scores, strict=True)
    ]
    assert exactly(again) == exactly(old_scores), f"{folder}: scores differ"
    means = {n: {"queries": m.queries, "users": m.users} for n, m in run.manifest.scores.items()}
    assert exactly(means) == exactly(renamed(old["scores"], METRICS)), f"{folder}: means differ"
    return run.path


def exactly(value) -> str:
    """Text that differs where a bit or a type differs."""
    return json.dumps(value, sort_keys=True)


def main() -> None:
    """Convert every run of a folder."""
    checkout, source, target = (Path(word).resolve() for word in sys.argv[1:])
    done = subprocess.run(
        [sys.executable, "-c", OLD_KEYS, str(source), str(CACHE.resolve())],
        env={"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin"}, cwd=checkout,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    keys = json.loads(done.stdout)
    made = {convert(Path(file).parent, target, old) for file, old in keys.items()}
    runs, problems = load_runs(target)
    assert len(made) == len(keys) == len(runs) and not problems, problems
    print(f"{len(made)} runs, every answer, score and mean as it was")


if __name__ == "__main__":
    main()
