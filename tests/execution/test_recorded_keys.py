"""Every committed run is still found: today's code plans it under the key it was recorded with."""

from importlib.util import find_spec
from pathlib import Path

from lampbench.engine.models import resolve_model
from lampbench.record.manifest import PREDICT
from lampbench.record.runs import load_runs
from lampbench.study.replan import Replanner

HELP = """
{count} of {all} committed runs are planned under other keys than they were recorded with, so that
nothing recorded or cached would be found any more. First: {first}

Keys change with what `Keys` (lampbench/execution/keys.py) puts into them: declared names and
versions of methods, parts and tasks, names of hyper-parameters and of parts' fields, prompts'
wording, fingerprints of data and models. If the change was not meant to change any answer (a
renaming), undo it. If it was, raise the `version` of the part, method or task that changed and
record its runs again.
"""


def test_committed_runs_are_planned_as_recorded(root: Path, tmp_path: Path) -> None:
    replanner = Replanner(tmp_path)
    different = []
    count = 0
    for folder in (root / "results", root / "tuning"):
        runs, problems = load_runs(folder)
        assert runs and not problems, problems[:1]
        for run in runs:
            package = resolve_model(run.manifest.model).package
            if package and find_spec(package.module) is None:
                continue  # its fingerprint is that of a file of the package, which is an extra
            count += 1
            plan = replanner.plan(run.manifest, folder)
            keys = plan.executor.keys
            found = {one.name: keys.joint(one.recipe, one.owners) for one in plan.stages}
            recorded = {s.stage: s.key for s in run.manifest.stages if s.stage != PREDICT}
            if plan.folder != run.path:
                different.append(f"{run.path} is now {plan.folder.name}")
            elif found != recorded:
                different.append(f"{run.path} has stages {recorded}, now {found}")
    assert count >= 40
    assert not different, HELP.format(count=len(different), all=count, first=different[0])
