from dataclasses import replace

import pytest


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
