"""The benchmarks run, write their results, and refuse to compare what differs."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmarks import (
    decoding,
    metric_speed,
    precision,
    quick,
    results_page,
    scaling,
    sharing,
    timing,
    training,
    workloads,
)
from benchmarks.results_file import write_results
from lampbench.data import DataOptions, load_dataset
from lampbench.registry import Registry

QUICK = {
    "contrastive_vs_reference", "contrastive_vs_peft_mixed", "greedy_vs_reference",
    "sample_vs_reference", "sft_vs_alone", "dpo_vs_alone", "contrastive_cost_vs_greedy",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(workloads, "SHAPES", dict.fromkeys(workloads.SHAPES, (40, 3)), raising=True)
    for module in (decoding, training, sharing):
        monkeypatch.setattr(module, "SHAPES", workloads.SHAPES)
    tiny = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 9000,
            "tie_word_embeddings": True}  # fmt: skip
    monkeypatch.setitem(workloads.MODELS, "100m", tiny)
    monkeypatch.setattr(timing, "copy_rate", lambda device: 1e10)
    monkeypatch.setattr(timing, "matmul_rate", lambda device, dtype: 1e11)


def run(command, *arguments):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_quick_ends_with_one_line_of_json():
    output = run(quick.main, "--users", "2", "--trained", "2", "--rounds", "1", "--alone", "1")
    last = json.loads(output.splitlines()[-1])
    assert last.keys() == QUICK
    assert all(value > 0 for value in last.values())


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        (decoding.main, ["--users", "2", "--shape", "news", "--rounds", "1", "--model", "100m"],
         "decoding-100m"),
        (training.main, ["--users", "2", "--shape", "news", "--rounds", "1", "--batch", "1",
                         "--model", "100m"], "training-100m"),
        (scaling.main, ["--small"], "scaling"),
        (sharing.main, ["--users", "2", "--rounds", "1", "--shape", "news"], "sharing"),
        (metric_speed.main, ["--predictions", "20", "--rounds", "1"], "metrics"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_writes_results_and_machine(command, arguments, name, tmp_path):
    run(command, *arguments, "--output", str(tmp_path))
    text = (tmp_path / f"{name}.json").read_text()
    page = json.loads(text)
    assert page["benchmark"] == name
    assert page["hardware"]["cores"] and page["versions"]["torch"]
    assert page["results"] and page["settings"]
    assert str(tmp_path) not in text
    CliRunner().invoke(results_page.main, ["--folder", str(tmp_path)])
    assert f"## {name}\n" in (tmp_path / "README.md").read_text()


def test_results_of_the_same_settings_stay_and_of_others_do_not(tmp_path):
    write_results("b", {"rounds": 1}, {"one": 1}, tmp_path)
    write_results("b", {"rounds": 1}, {"two": 2}, tmp_path)
    assert json.loads((tmp_path / "b.json").read_text())["results"] == {"one": 1, "two": 2}
    write_results("b", {"rounds": 2}, {"three": 3}, tmp_path)
    assert json.loads((tmp_path / "b.json").read_text())["results"] == {"three": 3}


def test_a_gpu_is_named_where_it_was_measured(monkeypatch, tmp_path):
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=["H200", "L4"].__getitem__)
    fake = SimpleNamespace(cuda=cuda, get_num_threads=lambda: 2)
    monkeypatch.setitem(sys.modules, "torch", fake)
    named = []
    wanted: list[dict[str, str]] = [{}, {"device": "cpu"}, {"device": "cuda:1"}]
    for settings in wanted:
        write_results("of-org/model", settings, {}, tmp_path)
        page = json.loads((tmp_path / "of-org-model.json").read_text())
        named.append(page["hardware"]["accelerator"])
    assert named == [None, None, "L4"]


def test_different_answers_are_not_compared():
    found = {"ours": {("0", 0): (1, 2)}, "reference": {("0", 0): (1, 2)}}
    found["peft_mixed"] = {(str(n), 0): (1, 3) for n in range(3)}
    found["ours"] |= {(str(n), 0): (1, 2) for n in range(3)}
    with pytest.raises(SystemExit, match="3 of 3 answers differ from peft_mixed's"):
        decoding.equal(found, strict=True)
    assert decoding.equal(found, strict=False) == {"reference": 0, "peft_mixed": 3}


def test_the_exponent_of_a_power_law_is_found():
    assert scaling.exponent([1, 2, 4, 8], [3.0, 6.0, 12.0, 24.0]) == 1.0
    assert scaling.exponent([1, 2, 4], [1.0, 4.0, 16.0]) == 2.0


class InPrecision:
    """An engine whose answers tell its precision, and in which its adapter was trained."""

    def __init__(self, name, loss):
        self.name, self.loss = name, loss

    def score(self, requests):
        for number, request in enumerate(requests):
            yield SimpleNamespace(id=request.id, logprobs=(-self.loss - number, -self.loss))

    def train(self, jobs, _):
        (job,) = jobs
        job.output.mkdir(parents=True)
        (job.output / "learned").write_text(self.name)
        yield job

    def generate(self, requests):
        for number, request in enumerate(requests):
            learned = (request.weights[0] / "learned").read_text()
            in_both = {self.name, learned} == {"bfloat16"}
            text = ("", learned, learned + self.name, str(in_both))[number]
            yield SimpleNamespace(id=request.id, text=text)


class Choosing(InPrecision):
    """An engine that chooses two tokens of four otherwise in bfloat16, and one under a contrast."""

    def generate(self, requests):
        for request in requests:
            assert len(request.weights) == 2 and request.teacher_text
            chosen = {
                ("float32", None): (1, 2, 9, 9),
                ("bfloat16", None): (1, 7, 3, 9),
                ("float32", precision.ALPHA): (1, 2, 3, 4),
                ("bfloat16", precision.ALPHA): (1, 2, 3, 8),
            }[self.name, request.spec.contrast and request.spec.contrast.alpha]
            yield SimpleNamespace(id=request.id, token_ids=chosen, teacher_ids=(1, 2, 3, 4))


def test_precisions_are_compared_by_what_they_choose(tmp_path):
    engines: Any = {name: Choosing(name, 1.0) for name in ("float32", "bfloat16")}
    task = Registry().task("news_headline")
    data = load_dataset(task, "bundled", DataOptions(users=2))
    found = precision.choices(engines, task, data, tmp_path)
    texts = sum(len(user.queries) for user in data.test_users)
    for name, counts in (("greedy", (4, 2, 1, 1)), ("contrasted", (4, 1, 1, 0))):
        assert tuple(found[name].values()) == tuple(texts * count for count in counts)


def test_precisions_are_compared_by_what_differs(tmp_path):
    """Of four answers one is always the same, one follows the adapter, one also the decoding, and
    one is another where both are in bfloat16.
    """
    losses = {"float32": 1.0, "bfloat16": 1.5}
    engines: Any = {name: InPrecision(name, loss) for name, loss in losses.items()}
    task = Registry().task("news_headline")
    data = load_dataset(task, "bundled", DataOptions(users=2))
    found = precision.likelihoods(engines, precision.asked(task, data.test_users))
    assert (found["texts"], found["lost"], found["size"]) == (2, 0.5, 0.5)
    assert found["nats per token, bfloat16"] - found["nats per token, float32"] == 0.5
    queries = tuple(query for user in data.test_users for query in user.queries)[:4]
    four = replace(data, test_users=(replace(data.test_users[0], queries=queries),))
    found = precision.answers(engines, task, four, tmp_path)
    assert list(found.values()) == [4, 3, 2, 2, 1]
