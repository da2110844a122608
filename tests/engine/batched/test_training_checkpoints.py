"""A training job that was killed at any step resumes to the same bytes."""

import dataclasses
import os
import signal
from typing import Any

import pytest
import torch

from lampbench.engine.batched.training_checkpoints import TrainingCheckpoints
from lampbench.engine.protocol import DPOSpec
from lampbench.util import atomic
from lampbench.util.interrupt import Stopped, stopping_on_signals
from tests.engine.engine_inputs import examples, job, no_hook, preferences
from tests.engine.trained import WEIGHTS, saved


class Killed(Exception):
    """In place of SIGKILL."""


@pytest.mark.parametrize("kind", ["sft", "dpo"])
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_killed_job_resumes_to_the_same_bytes(engine, adapters, tmp_path, kind, after):
    tam, user, _ = adapters()
    given: dict[str, Any] = {"frozen": (tam,)}
    if kind == "dpo":
        given |= {"data": preferences(), "start": user, "dpo": DPOSpec(0.5, (tam,))}
    straight, broken = job(tmp_path, "straight", **given), job(tmp_path, "broken", **given)
    often = engine(checkpoint_seconds=0.0)
    (expected,) = often.train([straight], no_hook)
    done = []

    def kill(name, step, steps):
        done.append(step)
        if step == after:
            raise Killed

    with pytest.raises(Killed):
        list(often.train([broken], kill))
    assert broken.scratch.is_dir()
    assert not broken.output.exists()
    again = []

    def count(name, step, steps):
        assert step <= steps
        again.append(step)

    (result,) = engine().train([broken], count)
    assert again == list(range(after + 1, 5))
    assert saved(broken) == saved(straight)
    assert result == dataclasses.replace(expected, id="broken")
    assert not broken.scratch.exists()


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_killed_users_resume_together_or_one_by_one(engine, adapters, tmp_path, limit_passes, kind):
    """At different steps, in other slots, together with other jobs than before."""
    tam, user, _ = adapters()
    limit_passes(1)  # so that bytes can be compared: no jobs share a pass
    given: dict[str, Any] = {"frozen": (tam,)}
    if kind == "dpo":
        given |= {"start": user, "dpo": DPOSpec(0.5, (tam,))}
    data = preferences if kind == "dpo" else examples
    straight, broken = (
        [job(tmp_path / home, f"u{n}", data=data(n), seed=n, **given) for n in (8, 2, 5)]
        for home in ("straight", "broken")
    )
    often = engine(checkpoint_seconds=0.0)
    expected = {result.id: result for result in often.train(straight, no_hook)}

    def kill(name, step, steps):
        if (name, step) == ("u5", 3):
            raise Killed

    found = {}
    with pytest.raises(Killed):
        for result in often.train(broken, kill):
            found[result.id] = result
    assert list(found) == ["u2"]
    again = []
    for jobs in ([broken[2]], [job(tmp_path, "new", data=data(3), **given), broken[0]]):
        results = engine().train(jobs, lambda *step: again.append(step))
        found |= {result.id: result for result in results}
    assert [step for step in again if step[0] != "new"][:2] == [("u5", 4, 4), ("u8", 4, 6)]
    del found["new"]
    assert found == expected
    assert [saved(one) for one in broken] == [saved(one) for one in straight]


def test_what_resumes_says_where(engine, tmp_path, capsys):
    jobs = [job(tmp_path, name, data=examples(6)) for name in ("ann", "bob")]

    def kill(name, step, steps):
        if step == 2:
            raise Killed

    for given, said in [
        (jobs[:1], "training of ann resumed at step 2 of"),
        (jobs, "training of 2 users resumed at steps 2 to 2"),
    ]:
        with pytest.raises(Killed):
            list(engine(checkpoint_seconds=0.0).train(given, kill))
        assert "resumed" not in capsys.readouterr().err
        list(engine().train(given, no_hook))
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "resumed" in line]
        assert line.startswith(said)


def test_a_kill_while_writing_leaves_the_previous_checkpoint(engine, tmp_path, monkeypatch):
    straight, broken = job(tmp_path, "straight"), job(tmp_path, "broken")
    often = engine(checkpoint_seconds=0.0)
    list(often.train([straight], no_hook))
    write, written = atomic.sync_file, []

    def half(file):
        written.append(file)
        if len(written) == 2:
            file.write_bytes(file.read_bytes()[:1000])
            raise Killed
        write(file)

    monkeypatch.setattr(atomic, "sync_file", half)
    with pytest.raises(Killed):
        list(often.train([broken], no_hook))
    monkeypatch.undo()
    again = []
    list(engine().train([broken], lambda name, step, steps: again.append(step)))
    assert again == [2, 3, 4]
    assert saved(broken) == saved(straight)


@pytest.fixture
def interrupted(engine, tmp_path):
    """A job with a checkpoint after its second step, and the bytes of its adapter in the end."""
    straight, asked = job(tmp_path, "straight"), job(tmp_path, "u")

    def kill(name, step, steps):
        if step == 2:
            raise Killed

    list(engine().train([straight], no_hook))
    with pytest.raises(Killed):
        list(engine(checkpoint_seconds=0.0).train([asked], kill))
    return asked, saved(straight)


def resume(engine, asked, monkeypatch):
    """Train again; what was said, and the steps taken."""
    said: list[str] = []
    steps: list[int] = []
    trainer = engine()
    monkeypatch.setattr(trainer, "_say", said.append)
    list(trainer.train([asked], lambda name, step, of: steps.append(step)))
    return said, steps


@pytest.mark.parametrize("other", [{"seed": 99}, {"id": "another user"}])
def test_a_checkpoint_of_another_job_is_not_used(engine, tmp_path, interrupted, monkeypatch, other):
    asked, _ = interrupted
    straight = dataclasses.replace(job(tmp_path, "other"), **other)
    list(engine().train([straight], no_hook))
    asked = dataclasses.replace(asked, **other)
    said, steps = resume(engine, asked, monkeypatch)
    (line,) = said
    assert line == (
        f"{asked.scratch / 'checkpoint.pt'}: a checkpoint of another job; renamed to "
        "checkpoint.damaged, this training begins anew"
    )
    assert steps == [1, 2, 3, 4]
    assert saved(asked) == saved(straight)


def test_a_damaged_checkpoint_is_reported_and_training_begins_anew(
    engine, interrupted, monkeypatch
):
    asked, expected = interrupted
    file = asked.scratch / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:5000])
    said, steps = resume(engine, asked, monkeypatch)
    assert said == [
        f"{file}: damaged checkpoint; renamed to checkpoint.damaged, this training begins anew"
    ]
    assert steps == [1, 2, 3, 4]
    assert saved(asked) == expected


def test_a_checkpoint_past_the_end_is_refused(engine, interrupted, monkeypatch):
    """An earlier version went on training after the last step: no number of steps ends that."""
    asked, expected = interrupted
    kept = TrainingCheckpoints(asked, pytest.fail)
    state = kept.load(4)
    assert state is not None
    kept.save({**state, "step": 5})
    said, steps = resume(engine, asked, monkeypatch)
    file = asked.scratch / "checkpoint.pt"
    assert said == [
        f"{file}: 5 steps are done of 4; renamed to checkpoint.damaged, this training begins anew"
    ]
    assert steps == [1, 2, 3, 4]
    assert saved(asked) == expected


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_found(interrupted):
    asked, _ = interrupted
    file = asked.scratch / "checkpoint.pt"
    sound = file.read_bytes()
    state = TrainingCheckpoints(asked, pytest.fail).load(4)
    assert state is not None
    assert state["step"] == 2
    places = {*range(200), *range(200, len(sound), max(1, len(sound) // 300)), len(sound) - 1}
    for place in places:
        data = bytearray(sound)
        data[place] ^= 1 << place % 8
        file.write_bytes(data)
        said: list[str] = []
        assert TrainingCheckpoints(asked, said.append).load(4) is None, place
        assert "damaged checkpoint" in said[0]
    for cut in (0, 10, 120, len(sound) // 2, len(sound) - 1):
        file.write_bytes(sound[:cut])
        assert TrainingCheckpoints(asked, said.append).load(4) is None, cut


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_signal_leaves_a_checkpoint_of_the_step_under_way(engine, adapters, tmp_path, kind):
    tam, user, _ = adapters()
    given: dict[str, Any] = {"frozen": (tam,)}
    if kind == "dpo":
        given |= {"data": preferences(), "start": user, "dpo": DPOSpec(0.5, (tam,))}
    straight, broken = job(tmp_path, "straight", **given), job(tmp_path, "broken", **given)
    (expected,) = engine().train([straight], no_hook)

    class Interrupting:
        """Sends a signal in the middle of the second step."""

        count = 0

        def __call__(self, *_):
            self.count += 1
            if self.count == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    hook = engine()._model.register_forward_hook(Interrupting())
    steps = []
    try:
        with stopping_on_signals(), pytest.raises(Stopped) as stopped:
            list(engine().train([broken], lambda name, step, of: steps.append(step)))
    finally:
        hook.remove()
    assert stopped.value.code == 143
    again = []
    (result,) = engine().train([broken], lambda name, step, of: again.append(step))
    assert again[0] == len(steps) + 2 > 1
    assert again[-1] == 4
    assert saved(broken) == saved(straight)
    assert result == dataclasses.replace(expected, id="broken")


def test_short_jobs_write_no_checkpoint(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "save", lambda *_: pytest.fail("a checkpoint was written"))
    list(engine().train([job(tmp_path, "u")], no_hook))


def test_an_output_left_by_a_killed_run_is_replaced(engine, tmp_path):
    asked = job(tmp_path, "u")
    asked.output.mkdir(parents=True)
    (asked.output / "leftover").write_text("x")
    list(engine().train([asked], no_hook))
    assert {f.name for f in asked.output.iterdir()} == {"adapter_config.json", WEIGHTS}
