"""What a plan will cost: from what was measured here, or from the data sheet of a GPU."""

import json
from dataclasses import replace

import pytest

from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.pool import EngineOptions
from lampbench.study.calibrate import calibrate
from lampbench.study.cost_profile import CostProfile, Rate, RatePlace, gpu_arithmetic, rate_place
from lampbench.study.forecast import forecast
from lampbench.study.token_cost import Cost

PLAN = ("plan", "--method", "oppu", "--task", "news_headline", "--users", "4")
H100 = ("--gpu", "h100", "--model-size", "7b")


@pytest.fixture
def planned(planner):
    return [planner("oppu"), planner("cope")]


def profile(plans):
    rates = {
        str(rate_place(plan, stage)): Rate(0.002)
        for plan in plans
        for stage in [*(one.name for one in plan.stages), "predict"]
    }
    return CostProfile("a test", rates, answer_seconds=0.5, run_seconds=2.0, start=10.0)


def known(amount: float | None) -> float:
    assert amount is not None
    return amount


def test_times_follow_tokens_and_shared_artifacts_are_paid_once(planned):
    found = forecast(planned, profile(planned))
    by_place = {(one.run, one.stage): one for one in found.stages}
    once = by_place["oppu news_headline", "user_sft"]
    assert once.units == 3 and once.cost.trained
    assert once.seconds == pytest.approx(once.cost.trained * 0.002)
    assert by_place["cope news_headline", "user_sft"].units == 0
    queries = sum(len(user.queries) for user in planned[0].spec.dataset.test_users)
    stages = sum(known(one.seconds) for one in found.stages)
    assert found.seconds == pytest.approx(stages + 10.0 + 2 * (queries * 0.5 + 2.0))
    assert found.work == pytest.approx(known(found.seconds))
    assert found.gpu_hours == pytest.approx(known(found.seconds) / 3600)


def test_more_users_cost_in_proportion_but_for_what_the_task_shares(planned):
    few, many = (forecast(planned, profile(planned), users) for users in (None, 3_000_000))
    for one, other in zip(few.stages, many.stages, strict=True):
        grown = 1_000_000 if one.per_user else 1
        assert other.seconds == pytest.approx(known(one.seconds) * grown)
        assert other.units == one.units * grown
    assert {one.stage for one in few.stages if not one.per_user} == {"task_sft"}


def test_workers_share_what_is_made_per_user_and_wait_for_the_rest(planned):
    alone = forecast(planned, profile(planned))
    four = forecast(planned, profile(planned), workers=4)
    shared = sum(known(one.seconds) for one in alone.stages if not one.per_user)
    divided = sum(known(one.seconds) for one in alone.stages if one.per_user)
    assert known(alone.seconds) - known(four.seconds) == pytest.approx(divided * 3 / 4)
    assert known(four.work) - known(alone.work) == pytest.approx(3 * 10.0), "each must start"
    more = 3 * (shared + 10.0)
    assert known(four.gpu_hours) - known(alone.gpu_hours) == pytest.approx(more / 3600)


def test_every_worker_spends_what_does_not_depend_on_how_much_there_is(planned):
    costs = profile(planned[:1])
    fixed = replace(costs, rates=dict.fromkeys(costs.rates, Rate(0.002, 1.5)))
    alone, four = (forecast(planned[:1], fixed, workers=count) for count in (1, 4))
    each = sum(1.5 for one in alone.stages if one.per_user)
    assert each == 2 * 1.5, "the users' adapters and the answers"
    divided = sum(known(one.seconds) for one in alone.stages if one.per_user) - each
    assert known(alone.seconds) - known(four.seconds) == pytest.approx(divided * 3 / 4)
    assert known(four.work) - known(alone.work) == pytest.approx(3 * (10.0 + each))


def test_what_was_not_measured_is_unknown_and_not_nothing(planned):
    found = forecast(planned, CostProfile("a test"))
    assert found.seconds is None and found.gpu_hours is None and found.memory is None


@pytest.mark.parametrize("other", ["engine", "dtype", "device", "model", "setup"])
def test_another_engine_precision_or_device_was_not_measured(other):
    place = RatePlace("a model", "t", "m", "train", "batched", "float32", "auto")
    costs = CostProfile("a test", {str(place): Rate(0.5, 1.0)})
    assert RatePlace.read(str(place)) == place
    assert costs.seconds(place, Cost(10)) == (6.0, 1.0)
    assert costs.seconds(replace(place, method="n", task="u"), Cost(10)) == (6.0, 1.0)
    assert costs.seconds(replace(place, **{other: "other"}), Cost(10)) is None


def test_servers_and_quantised_models_have_rates_of_their_own(planned):
    engines = planned[0].executor.engines
    options = engines.options = EngineOptions()
    usual = rate_place(planned[0], "predict")
    assert usual.setup == "-"
    places = {usual}
    for told in (
        {"engine_arguments": {options.engine: {"api_base": "http://one:8000/v1"}}},
        {"engine_arguments": {options.engine: {"api_base": "http://two:8000/v1"}}},
        {"arguments": ModelArguments(quantization="4bit")},
        {"arguments": ModelArguments(quantization="8bit")},
        {"batch_size": 4},
    ):
        engines.options = replace(options, **told)
        places.add(rate_place(planned[0], "predict"))
    assert len(places) == 6 and all(RatePlace.read(str(place)) == place for place in places)
    engines.options = EngineOptions(engine_arguments={"another": {"url": "x"}})
    assert rate_place(planned[0], "predict") == usual, "what another engine is told"


def test_a_stage_that_was_not_measured_is_named(call, on_fake_engine):
    assert call(*PLAN, "--calibrate")[0] == 0
    code, out, err = call(*PLAN, "--batch-size", "2")
    assert code == 0, err
    assert "time unknown with 1 at work" in out
    told = "time unknown: task_sft of oppu news_headline and 2 more stages was not measured with"
    assert told in out
    assert "not measured" not in call(*PLAN)[1]


def test_a_profile_that_cannot_be_added_to_is_named_before_measuring(call, engine, on_fake_engine):
    from pathlib import Path

    Path("old.json").write_text('{"machine": "x", "rates": {"a b c d e f g": {"per_token": 1}}}')
    code, _, err = call(*PLAN, "--calibrate", "--profile", "old.json")
    assert code == 2 and "old.json: is no profile (rates: 'a b c d e f g' does not name" in err
    assert "delete it and measure one with --calibrate" in err
    assert not engine.trained


def test_a_rate_is_the_line_through_two_measurements():
    assert Rate.through((3.0, 100), (5.0, 300)) == Rate(0.01, 2.0)
    assert Rate.through((5.0, 100), (4.0, 400)) == Rate(0.01)
    assert Rate.through((1.0, 100), (40.0, 400)) == Rate(0.1)


def test_larger_models_take_longer_and_more_memory():
    costs = [gpu_arithmetic("h100", size) for size in ("7b", "70b")]
    work = Cost(10**9, 10**9, 10**8)
    seven, seventy = (known(one.gpu_seconds(work)) for one in costs)
    assert 9 < seventy / seven < 11
    assert costs[0].gpus == 1 and costs[1].gpus == 4
    # 2 x 7.24e9 operations per token at 45% of 989e12 per second
    assert costs[0].gpu_seconds(Cost(10**9)) == pytest.approx(14.48e18 / (0.45 * 989e12))
    assert costs[0].gpu_seconds(Cost(None)) is None


def test_a_calibration_measures_every_stage_and_leaves_nothing(on_fake_engine, tmp_path):
    from lampbench.execution.options import RunOptions

    choices = RunOptions(methods=["cope"], tasks=["news_headline"], cache_dir=tmp_path / "cache")
    found = calibrate(choices, [{}], users=2)
    stages = {RatePlace.read(name).stage for name in found.rates}
    assert {"task_sft", "user_sft", "user_dpo", "predict"} <= stages
    assert all(rate.per_token > 0 for rate in found.rates.values())
    assert found.start >= 0 and found.peak_bytes > 10**7
    later = calibrate(choices, [{}], users=2, before=100.0)
    assert later.start >= 100.0 > found.start
    assert not (tmp_path / "cache").exists()


def test_the_command_measures_then_plans(call, on_fake_engine, tmp_path):
    code, _, err = call(*PLAN)
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: .lampbench/cache/profile.json: no such profile; measure this machine with "
        "--calibrate, give a file with --profile, or a GPU with --gpu"
    )
    code, out, err = call(*PLAN, "--calibrate")
    assert code == 0, err
    assert "hours of all of them" in out and "unknown" not in out
    found = json.loads(call(*PLAN, "--format", "json")[1])
    assert [one["stage"] for one in found["stages"]] == ["task_sft", "user_sft", "predict"]
    assert found["seconds"] > 0


def test_a_million_users_of_a_large_model(call):
    code, out, err = call(*PLAN, *H100, "--for-users", "1000000", "--workers", "64")
    assert code == 0, err
    assert "1,000,000" in out and "unknown" not in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--gpu", "h100"), "--gpu and --model-size belong together"),
        (("--gpu", "tpu", "--model-size", "7b"), "--gpu tpu: not known"),
        (("--gpu", "h100", "--model-size", "9b"), "--model-size 9b: not known"),
    ],
)
def test_wrong_options_are_one_line(call, options, told):
    code, _, err = call(*PLAN, *options)
    assert code == 2 and err.splitlines()[-1].startswith(f"error: {told}")


def test_a_file_that_is_no_profile_is_one_line(call, tmp_path):
    (tmp_path / "wrong.json").write_text('{"machine": 3}')
    code, _, err = call(*PLAN, "--profile", "wrong.json")
    assert code == 2 and err.splitlines()[-1].startswith("error: wrong.json: is no profile (")
