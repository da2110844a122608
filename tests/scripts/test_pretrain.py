"""The pre-training script, on a made-up source and for a second."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lampbench.bundled import DATA
from scripts import pretrain
from scripts.user_rows import read_users, records

CONFIG = """
seed = 0
held_out = 0.1
[tokenizer]
vocabulary = 400
[model]
hidden_size = 32
intermediate_size = 48
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
max_position_embeddings = 64
[mixture]
passes = 1
instruction = 0.5
quoting = 0.5
posts = 2
[training]
minutes = 0.02
threads = 1
device = "cpu"
compile = false
precision = "float32"
optimizer = "muon"
batch_tokens = 256
micro_batch_tokens = 128
learning_rate = 3.0e-3
warmup = 0.02
weight_decay = 0.1
rows = [[0.0, 32], [0.7, 64]]
log_seconds = 1
checkpoint_minutes = 5
[models.bundled]
[models.bundled-small.model]
hidden_size = 16
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(CONFIG)
    return path


def test_trains_writes_a_loadable_model_and_resumes(
    source: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    work, output = tmp_path / "work", tmp_path / "model"
    call = ["--config", str(config), "--source", str(source), "--work", str(work)]
    pretrain.main([*call, "--output", str(output)])
    assert AutoModelForCausalLM.from_pretrained(output).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(output).chat_template
    facts = json.loads((output / "training.json").read_text())
    losses = [line["loss"] for line in facts["log"] if "loss" in line]
    assert losses[-1] < 6.0
    assert set(facts["log"][-1]["held_out_perplexity"]) == {"papers", "posts", "prompts"}
    assert "SOURCE_DIR" in (output / "README.md").read_text()

    pretrain.main([*call, "--output", str(tmp_path / "again")])
    weights = [folder / "model.safetensors" for folder in (output, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert json.loads((tmp_path / "again" / "training.json").read_text())["log"] == facts["log"]

    pretrain.main([*call[:4], "--work", str(tmp_path / "small"), "--model", "bundled-small",
                   "--output", str(tmp_path / "less")])  # fmt: skip
    less = AutoModelForCausalLM.from_pretrained(tmp_path / "less")
    assert less.config.hidden_size == 16
    assert (tmp_path / "less/tokenizer.json").read_text() == (output / "tokenizer.json").read_text()

    other = tmp_path / "other.toml"
    other.write_text(CONFIG.replace("warmup = 0.02", "warmup = 0.03"))
    with pytest.raises(SystemExit) as caught:
        pretrain.main([*call, "--config", str(other)])
    assert caught.value.code == 2
    assert "another --work" in capsys.readouterr().err

    longer = tmp_path / "longer.toml"
    longer.write_text(CONFIG.replace("minutes = 0.02", "minutes = 0.03"))
    pretrain.main([*call, "--config", str(longer), "--output", str(tmp_path / "longer")])
    log = json.loads((tmp_path / "longer" / "training.json").read_text())["log"]
    assert log[: len(facts["log"])] == facts["log"] and log[-1]["minute"] >= 0.03
    assert log[len(facts["log"])]["schedule_until_here"] == 0.02
    assert "made longer" in (tmp_path / "longer" / "README.md").read_text()


def test_two_processes_share_the_work_and_stop_together(
    source: Path, config: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "scripts/pretrain.py", "--config", str(config), "--source", str(source),
         "--work", str(work), "--output", str(tmp_path / "model")],
        cwd=pretrain.ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = json.loads((work / "log.json").read_text())
    assert log[-1]["minute"] >= 0.02 and "held_out_perplexity" in log[-1]
    steps = [json.loads(line)["step"] for line in done.stdout.splitlines() if line.startswith("{")]
    assert steps == sorted(steps) and len(steps) == len(log)  # one process speaks


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_muon_is_torchs_in_float32(shape: tuple[int, int]) -> None:
    import torch

    from scripts.muon import Muon, orthogonal

    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert float(values.min()) > 0.5 and float(values.max()) < 1.3
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    mine = Muon([ours], lr=0.1, weight_decay=0.1)
    reference: Any = torch.optim.Muon([theirs], lr=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        mine.step()
        reference.step()
    assert torch.allclose(ours, theirs, atol=0.02)
    assert float((ours.detach() - 1).abs().max()) > 0.1  # and it moved


@pytest.mark.parametrize("split", ["test", "dev"])
def test_text_of_tested_users_is_not_trained_on(split: str, tmp_path: Path) -> None:
    """A source that holds such users' own texts, alone, with others, and copied by another."""
    import gzip

    from scripts.pretraining_text import read_documents
    from scripts.source_texts import PAPERS, POSTS

    user = read_users(DATA / "abstract_generation" / f"{split}.jsonl")[0]
    trained = read_users(DATA / "scholarly_title" / "train.jsonl")[0]["queries"][0]
    stolen = next(records(user))["target"]
    fresh = "entirely unheard of words " * 10
    papers = [
        ("own", stolen, [user["id"]]),
        ("shared", fresh, [user["id"], "Someone Else"]),
        ("copied", f"As they say: {stolen}", ["Someone Else"]),
        (trained["id"], fresh, ["Someone Else"]),
        ("short", "too short", ["Someone Else"]),
        ("kept", fresh, ["Someone Else"]),
    ]
    rows = [
        {"id": name, "authors": who, "date": "2020-01", "title": f"Paper {name}", "abstract": text}
        for name, text, who in papers
    ]
    poster = read_users(DATA / "news_headline" / "train.jsonl")[0]["id"]
    post = {"id": "post", "author": poster, "source": "site", "date": "2020-01-01",
            "title": "A title of its own", "summary": "", "content": fresh}  # fmt: skip
    for file, lines in ((PAPERS, rows), (POSTS, [post])):
        with gzip.open(tmp_path / file, "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in lines)
    posts, kept, out = read_documents(tmp_path)
    assert [paper["id"] for paper in kept] == ["kept"] and posts == []
    assert out == {"test_author": 2, "task_training": 2, "shared_words": 1, "too_short": 1}


def test_documents_are_compared_with_the_bundled_users_and_sketched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lampbench.data.leaks.corpus_sketch import load_sketch
    from scripts.pretraining_text import compare_with_users

    user = read_users(DATA / "abstract_generation" / "test.jsonl")[0]
    free = {"id": "free", "title": "A paper", "abstract": "entirely unheard of words " * 10}
    post = {"id": "post", "title": "A post", "summary": "", "body": "much the same in a post " * 10}
    found = compare_with_users([post], [free], tmp_path / "corpus.npz")
    assert found == {"documents": 2, "runs_shared": 0}
    assert load_sketch(tmp_path / "corpus.npz").documents == {"free", "post"}
    copied = {**free, "abstract": next(records(user))["target"]}
    with pytest.raises(SystemExit) as caught:
        compare_with_users([post], [copied], tmp_path / "other.npz")
    assert caught.value.code == 2
    assert "13-grams with the bundled users" in capsys.readouterr().err
    assert not (tmp_path / "other.npz").exists()


@pytest.mark.parametrize("text", ["no = [toml", "seed = 0"])
def test_a_bad_configuration_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(SystemExit) as caught:
        pretrain.main(["--config", str(tmp_path / "bad.toml"), "--source", str(tmp_path)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "bad.toml" in error and error.count("\n") == 1
