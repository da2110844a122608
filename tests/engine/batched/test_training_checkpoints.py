"""A training job that was killed at any step resumes to the same bytes."""

import dataclasses
from typing import Any

import pytest
import torch

from lampbench.engine.protocol import DPOSpec
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import examples, job, no_hook, preferences


def saved(asked):
    return (asked.output / "adapter_model.safetensors").read_bytes()


class Killed(Exception):
    """In place of SIGKILL."""


@pytest.mark.parametrize("kind", ["sft", "dpo"])
@pytest.mark.parametrize("after", [1, 2, 3])
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
    (result,) = engine().train([broken], lambda name, step, steps: again.append(step))
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


def test_a_kill_while_a_checkpoint_is_written_leaves_the_previous_one(
    engine, tmp_path, monkeypatch
):
    straight, broken = job(tmp_path, "straight"), job(tmp_path, "broken")
    often = engine(checkpoint_seconds=0.0)
    list(often.train([straight], no_hook))
    save = torch.save

    def half(state, stream):
        if state["step"] == 2:
            stream.write(b"half of it")
            raise Killed
        save(state, stream)

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(Killed):
        list(often.train([broken], no_hook))
    monkeypatch.undo()
    again = []
    list(engine().train([broken], lambda name, step, steps: again.append(step)))
    assert again == [2, 3, 4]
    assert saved(broken) == saved(straight)


@pytest.mark.parametrize("damage", ["bytes", "other job"])
def test_a_bad_checkpoint_is_an_error(engine, tmp_path, damage):
    asked = job(tmp_path, "u")

    def kill(*_):
        raise Killed

    with pytest.raises(Killed):
        list(engine(checkpoint_seconds=0.0).train([asked], kill))
    file = asked.scratch / "checkpoint.pt"
    if damage == "bytes":
        file.write_bytes(file.read_bytes()[:100])
    else:
        asked = dataclasses.replace(asked, seed=99)
    with pytest.raises(LampbenchError, match=r"checkpoint\.pt: .*; delete the file"):
        list(engine().train([asked], no_hook))


def test_short_jobs_write_no_checkpoint(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "save", lambda *_: pytest.fail("a checkpoint was written"))
    list(engine().train([job(tmp_path, "u")], no_hook))


def test_an_output_left_by_a_killed_run_is_replaced(engine, tmp_path):
    asked = job(tmp_path, "u")
    asked.output.mkdir(parents=True)
    (asked.output / "leftover").write_text("x")
    list(engine().train([asked], no_hook))
    assert {f.name for f in asked.output.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors"
    }  # fmt: skip
