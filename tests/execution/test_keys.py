from dataclasses import replace
from pathlib import Path

import pytest

from lampbench.execution.keys import Keys
from lampbench.util.hashing import digest, digest_of_list


def key_of(plan, section, user=0):
    stage = next(stage for stage in plan.stages if stage.name == section)
    owners = stage.owners
    return plan.executor.keys.of(stage.recipe, owners[user if len(owners) > 1 else 0])


SECTIONS = ["task_sft", "user_sft", "negatives", "lowest_reward", "user_dpo"]


@pytest.mark.parametrize(
    ("assignment", "changed"),
    [
        ("task_sft.epochs=5", {"task_sft", "user_sft", "negatives", "lowest_reward", "user_dpo"}),
        ("user_sft.rank=4", {"user_sft", "lowest_reward", "user_dpo"}),
        ("negatives.n=4", {"negatives", "lowest_reward", "user_dpo"}),
        ("user_dpo.beta=1.0", {"user_dpo"}),
        ("decoding.alpha=0.9", set()),
        ("decoding.max_new_tokens=7", set()),
    ],
)
def test_a_setting_changes_what_depends_on_it_and_nothing_else(planner, assignment, changed):
    before, after = planner("cope"), planner("cope", assignment)
    different = {name for name in SECTIONS if key_of(before, name) != key_of(after, name)}
    assert different == changed
    assert before.folder != after.folder


def test_methods_share_keys(planner):
    assert key_of(planner("oppu"), "user_sft") == key_of(planner("cope"), "user_sft")
    assert key_of(planner("tam"), "task_sft") == key_of(planner("oppu_dpo"), "task_sft")


def test_seed_and_fidelity_and_data_change_keys(planner, dataset):
    before = planner("cope")
    assert key_of(planner("cope", seed=1), "task_sft") != key_of(before, "task_sft")
    other = planner("cope", fidelity="reference")
    assert key_of(other, "task_sft") != key_of(before, "task_sft")
    ann, *rest = dataset.test_users
    record = replace(ann.history[0], target="another headline")
    changed = replace(ann, history=(record, *ann.history[1:]))
    after = planner("cope", data=replace(dataset, test_users=(changed, *rest)))
    assert key_of(after, "user_sft", 0) != key_of(before, "user_sft", 0)
    assert key_of(after, "user_sft", 1) == key_of(before, "user_sft", 1), "nobody else's changes"
    assert key_of(after, "task_sft") == key_of(before, "task_sft")
    assert after.folder != before.folder


def test_a_query_changes_the_run_alone(planner, dataset):
    ann, *rest = dataset.test_users
    query = replace(ann.queries[0], reference="something else")
    changed = replace(ann, queries=(query, *ann.queries[1:]))
    before = planner("cope")
    after = planner("cope", data=replace(dataset, test_users=(changed, *rest)))
    assert all(key_of(after, name) == key_of(before, name) for name in SECTIONS)
    assert after.folder != before.folder
    assert after.spec.dataset.query_fingerprint != before.spec.dataset.query_fingerprint


def test_editing_a_plugin_invalidates_its_runs(planner, tmp_path):
    text = (
        "from lampbench.plugin import Method, RetrievalAugmented, register_method\n"
        "@register_method('mine')\n"
        "class Mine(Method):\n"
        "    prompting = RetrievalAugmented(k={k})\n"
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder, k in (("a", 1), ("b", 2)):
        (tmp_path / folder / "mine.py").write_text(text.format(k=k))
    one = planner("mine", plugins=[tmp_path / "a"])
    two = planner("mine", plugins=[tmp_path / "b"])
    assert one.folder != two.folder


def test_history_prompts_reach_the_training_keys(planner, tmp_path):
    plugin = tmp_path / "both.py"
    plugin.write_text(
        "from lampbench.plugin import *\n"
        "@register_method('both')\n"
        "class Both(Method):\n"
        "    prompting = ProfileAugmented()\n"
        "    adaptation = UserSFT(start=TaskSFT())\n"
    )
    plan = planner("both", plugins=[plugin])
    assert [stage.name for stage in plan.stages] == ["profile", "task_sft", "user_sft"]
    assert len(plan.stages[0].owners) == 6, "training users need profiles too"
    assert key_of(plan, "user_sft") != key_of(planner("oppu"), "user_sft")


def test_a_users_fingerprint_is_computed_once_for_all_plans(planner, monkeypatch):
    from lampbench.core import dataset as core

    counted = []

    def counting(value):
        counted.append(1)
        return digest(value)

    def counting_lists(items):
        counted.append(1)
        return digest_of_list(items)

    monkeypatch.setattr(core, "digest", counting)
    monkeypatch.setattr(core, "digest_of_list", counting_lists)
    plans = [planner("cope"), planner("oppu"), planner("cope", "decoding.alpha=0.5")]
    for plan in plans:
        for stage in plan.stages:
            assert stage.missing(plan.executor)
    users = plans[0].spec.dataset.test_users
    assert len(counted) == len(users) + 3, "each user, the training queries, the queries, the whole"


def test_a_copied_user_has_a_fingerprint_of_its_own(dataset):
    ann = dataset.test_users[0]
    before = ann.fingerprint
    other = replace(ann, history=ann.history[:1])
    assert other.fingerprint != before
    assert replace(ann).fingerprint == before
    assert replace(ann) == ann and "_fingerprint" not in repr(ann)


def test_plans_of_a_grid_share_keys_and_each_is_what_it_is_alone(tmp_path):
    from lampbench.execution.options import RunOptions, engine_pool, grid_plans
    from lampbench.plugin.hyperparameter import SourcedValue
    from lampbench.util.progress import Progress

    def planned(methods, points):
        choices = RunOptions(
            methods=methods, tasks=["news_headline"], users=2, cache_dir=tmp_path / "cache"
        )
        pool = engine_pool(choices, Progress())
        found = grid_plans(choices, points, tmp_path / "results", pool)
        return {plan.folder: [plan.executor.keys.joint(s.recipe, s.owners) for s in plan.stages]
                for _, plan in found}  # fmt: skip

    points = [{"user_sft.rank": SourcedValue(rank, "grid")} for rank in (2, 4)]
    methods = ["cope", "oppu", "pag"]
    together = planned(methods, points)
    alone: dict[Path, list[str]] = {}
    for method in methods:
        for point in points if method != "pag" else [{}]:
            alone |= planned([method], [point])
    assert together == alone


def test_equal_values_of_other_types_share_no_key(planner):
    """0 == 0.0, but their keys differ: which was asked for first must not matter."""
    known: dict[tuple[str, str], str] = {}
    keys = []
    for value in (0, 0.0, 0):
        plan = planner("oppu")
        recipe = plan.stages[0].recipe
        plain = replace(recipe, weight_decay=value)
        alone = Keys(plan.spec, plan.executor.engines)
        together = Keys(plan.spec, plan.executor.engines, known)
        owner = plan.stages[0].owners[0]
        assert together.of(plain, owner) == alone.of(plain, owner)
        keys.append(alone.of(plain, owner))
    assert keys[0] == keys[2] != keys[1]


def test_users_of_one_id_and_other_histories_share_no_key(planner, dataset):
    plan = planner("oppu")
    recipe = plan.stages[-1].recipe
    ann = dataset.test_users[0]
    other = replace(ann, history=ann.history[:1])
    keys = plan.executor.keys
    assert keys.of(recipe, ann) != keys.of(recipe, other)
