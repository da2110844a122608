"""Another user's adapter as a control, on a model that is really trained."""

import shutil

import pytest

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.write_dataset import write_dataset
from lampbench.execution.make_answers import build
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.study.diagnose import diagnose_plan
from lampbench.util.progress import Progress

OWN_WORDS = {"ann": "storm storm storm", "bob": "quick brown fox", "cat": "old bridge closed"}
"""What each user always writes, whatever the article says."""
TINY = [
    "task_sft.rank=2", "task_sft.epochs=1", "task_sft.batch_size=1", "task_sft.learning_rate=0.01",
    "user_sft.rank=4", "user_sft.epochs=4", "user_sft.batch_size=1", "user_sft.learning_rate=0.05",
]  # fmt: skip


def person(name, words):
    places = ["coast", "harbour", "bridge", "town"]
    history = [
        Record(f"{name}{i}", {"text": f"The {place} closed."}, words)
        for i, place in enumerate(places)
    ]
    asked = Query(f"{name}-q", {"text": "The storm reached Monday."}, words)
    return User(name, tuple(history), (asked,))


@pytest.fixture
def trained(model_folder, tmp_path):
    """A plan of OPPU on three users, with its adapters trained."""
    tested = tuple(person(name, words) for name, words in OWN_WORDS.items())
    other = User("di", (), person("di", "The town reached Monday").queries)
    folder = tmp_path / "data" / "news_headline"
    write_dataset(Dataset("news_headline", "made up", (other,), tested, synthetic=True), folder)
    options = RunOptions(
        methods=["oppu"], tasks=["news_headline"], models=[str(model_folder("llama"))],
        data=f"lampbench:{folder}", assignments=TINY, device="cpu", cache_dir=tmp_path / "cache",
    )  # fmt: skip
    pool = engine_pool(options, Progress())
    ((_, plan),) = grid_plans(options, [{}], tmp_path / "results", pool)
    for stage in plan.stages:
        build(plan, stage)
    return plan


def test_own_words_are_likelier_with_ones_own_adapter(trained):
    (swap,) = diagnose_plan(trained).swaps
    assert swap.stage == "user_sft"
    assert swap.own < swap.another and swap.own < swap.without
    assert (swap.gain.better, swap.gain.worse) == (3, 0)
    assert swap.gain.difference.mean == pytest.approx(swap.another - swap.own)


def test_a_swap_of_identical_adapters_gives_exactly_zero(trained, tmp_path, monkeypatch):
    executor = trained.executor
    real = executor.weights
    first = executor.dataset.test_users[0]

    def copied(recipe, user):
        """The first user's adapter, in a folder of each user's own."""
        weights = real(recipe, user)
        if len(weights) < 2:
            return weights
        folder = tmp_path / "copies" / user.id
        shutil.copytree(real(recipe, first)[-1], folder, dirs_exist_ok=True)
        return (*weights[:-1], folder)

    monkeypatch.setattr(executor, "weights", copied)
    (swap,) = diagnose_plan(trained).swaps
    assert swap.own == swap.another != swap.without
    gain = swap.gain
    assert (gain.difference.mean, gain.difference.low, gain.difference.high) == (0.0, 0.0, 0.0)
    assert (gain.better, gain.equal, gain.worse) == (0, 3, 0)
