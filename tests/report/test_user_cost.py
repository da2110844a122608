"""What a run cost per user, from the stages of its manifest."""

from lampbench.record.forget import forget_in_results
from lampbench.record.runs import load_runs
from lampbench.report.user_cost import mean_cost
from tests.shared.recorded import NO_COST


def test_a_removed_user_makes_the_others_no_dearer(scored, tmp_path):
    stages = [
        NO_COST | {"stage": "user_sft", "seconds": 6.0, "trained_tokens": 30},
        NO_COST | {"stage": "predict", "seconds": 3.0, "prompt_tokens": 60},
    ]
    run = scored("oppu", {"a": [0.4, 0.3], "b": [0.4], "c": [0.5]}, stages=stages)
    before = mean_cost([run])
    assert before is not None
    assert (before.before_seconds, before.answer_seconds, before.tokens) == (2.0, 1.0, 30.0)
    forget_in_results(tmp_path / "results", "a", print)
    ((left,), _) = load_runs(tmp_path / "results")
    assert left.manifest.counts.users == 2
    assert mean_cost([left]) == before
