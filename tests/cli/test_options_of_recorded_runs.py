"""An option that is wrong is refused, whether or not anything is left to be computed."""

from typing import Any

import pytest

from lampbench import api
from lampbench.util.errors import LampbenchError

WRONG = [
    (("--device", "gpu"), "no device is called 'gpu' (--device): give cpu, cuda"),
    (("--device", "cuda:x"), "no device is called 'cuda:x'"),
    (("--model-arg", "device_map=gpu"), "device_map=gpu: choose one of auto, balanced"),
    (("--dtype", "half"), "dtype"),
    (("--batch-size", "0"), "--batch-size"),
    (("--chat-template", "nope"), "no chat template is called 'nope'"),
    (("--engine-arg", "step=fast"), "step=fast of engine batched: choose one of exact, static"),
    (("--engine-arg", "beams=2"), "engine batched has no argument 'beams'"),
    (("--engine-arg", "vllm.max_loras=3"), "--engine-arg vllm.max_loras is for engine vllm: add"),
    (("--vllm-url", "http://localhost:1"), "--vllm-url is for engine vllm: add --engine vllm"),
    (("--vllm-python", "python"), "--vllm-python is for engine vllm: add --engine vllm"),
    (("--engine", "reference", "--batch-size", "2"), "--batch-size does nothing with --engine ref"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_a_wrong_option_of_a_recorded_run_is_refused(small_run, recorded_base, arguments, said):
    code, out, err = small_run("--method", "base", *arguments)
    assert (code, out) == (2, ""), err
    assert said in err.splitlines()[-1]


@pytest.fixture
def recorded_base(small_run):
    """A recorded run of the method base."""
    assert small_run("--method", "base")[0] == 0


def test_a_machine_without_the_device_reads_what_is_recorded(small_run, recorded_base):
    for device in ("cuda", "cuda:7", "mps", "auto"):
        code, _, err = small_run("--method", "base", "--device", device)
        assert code == 0 and "already recorded" in err


def test_python_refuses_a_wrong_device_of_a_recorded_run(recorded_base):
    wrong: tuple[Any, ...] = ("gpu", "CPU", 0)
    for device in wrong:
        with pytest.raises(LampbenchError, match=f"no device is called {device!r}"):
            api.run("base", "news_headline", users=2, device=device)


def test_what_excludes_batch_invariance_is_refused_for_a_recorded_run(small_run):
    invariant = ("--method", "base", "--device", "cpu", "--engine-arg", "batch_invariant=true")
    assert small_run(*invariant)[0] == 0
    code, _, err = small_run(*invariant, "--engine-arg", "step=static")
    assert code == 2 and "it has steps of its own" in err
