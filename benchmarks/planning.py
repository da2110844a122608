"""Seconds to plan runs over many users: one run, and six that share users and recipes.

    python benchmarks/planning.py --users 20000

Nothing is trained and no model is loaded: what is measured are fingerprints, keys and the look
into an empty cache, which every run, dry run and resumed run begins with.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.util.progress import Progress

TASK = "news_headline"
ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def person(name: str, records: int) -> User:
    """A user with a history of short articles, and one query."""
    history = tuple(
        Record(f"{name}-{i}", {"text": f"article {i} of {name} " * 10}, f"headline {i} by {name}")
        for i in range(records)
    )
    return User(name, history, (Query(f"{name}-q", {"text": f"news of {name}"}, "a headline"),))


def seconds(dataset: Dataset, points: int, folder: Path) -> float:
    """Plan CoPe at some points of a grid, and ask what is missing of each run."""
    choices = RunOptions(methods=["cope"], tasks=[TASK], cache_dir=folder / "cache")
    grid = [{"decoding.alpha": SourcedValue(alpha, "grid")} for alpha in ALPHAS[:points]]
    pool = engine_pool(choices, Progress())
    began = time.perf_counter()
    plans = grid_plans(choices, grid, folder / "results", pool, lambda *_: dataset)
    for _, plan in plans:
        for stage in plan.stages:
            assert len(stage.missing(plan.executor)) == len(stage.owners)
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=10, help="past records of each user")
    given = parser.parse_args()
    found = {}
    for points in (1, len(ALPHAS)):
        test = tuple(person(f"user{n}", given.records) for n in range(given.users))
        train = tuple(person(f"train{n}", 1) for n in range(given.users // 10))
        dataset = Dataset(TASK, "made for this benchmark", train, test)
        with tempfile.TemporaryDirectory() as folder:
            found[f"{points} plans"] = round(seconds(dataset, points, Path(folder)), 2)
    print(json.dumps({"users": given.users, "records": given.records, "seconds": found}))


if __name__ == "__main__":
    main()
