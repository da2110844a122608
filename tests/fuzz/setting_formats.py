"""Settings: configuration files, `--set`, the command line; models and adapters; a judge's "
"reply."""

import contextlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from lampbench.registry import locations
from lampbench.util.errors import LampbenchError
from tests.fuzz.formats import Files, Format
from tests.fuzz.mutations import mutated_bytes, mutated_value

_TOML = b"""[decoding]
alpha = 0.3
tau = 0.1
repetition_penalty = 1.0

[negatives]
n = 3

[user_sft]
rank = 8
targets = ["q_proj", "v_proj"]
"""
_ASSIGNMENTS = (
    "decoding.alpha=0.3", "user_sft.rank=8", "user_sft.targets=q_proj,v_proj", "negatives.n=5",
    "decoding.repetition_penalty=1.0", "decoding.penalty_on=scores", "task_sft.epochs=2",
)  # fmt: skip


@cache
def _cope() -> tuple[Any, Any]:
    from lampbench.registry import Registry

    return Registry().method("cope"), Registry().task("news_headline")


def _resolve(given: Mapping[str, Any]) -> None:
    from lampbench.execution.options import resolve_method
    from lampbench.plugin.hyperparameter import reject_unknown

    method, task = _cope()
    _, settings = resolve_method(method, task, "paper", dict(given))
    reject_unknown(given, set(settings))
    for setting in settings.values():
        json.dumps(setting.value, allow_nan=False).encode()


def _read_config(folder: Path) -> None:
    from lampbench.plugin.hyperparameter import read_config

    _resolve(read_config(folder / "config.toml"))


def _assignment() -> Files:
    return {"assignment": b"decoding.alpha=0.3"}


def _change_assignment(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    name, _, value = random.choice(_ASSIGNMENTS).partition("=")
    if random.random() < 0.5:
        value = mutated_bytes(random, value.encode()).decode("utf-8", "surrogateescape")
    else:
        value = random.choice(_ODD_WORDS)
    text = f"{name}={value}".encode("utf-8", "surrogateescape")
    if random.random() < 0.3:
        text = mutated_bytes(random, text)
    (folder / "assignment").write_bytes(text)


def _read_assignment(folder: Path) -> None:
    from lampbench.execution.options import read_overrides

    text = (folder / "assignment").read_bytes().decode("utf-8", "surrogateescape")
    _resolve(read_overrides(None, [text]))


_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("data", "stats", "--task", "news_headline", "--data", "lamp:here", "--users", "2",
     "--min-history", "2", "--max-history", "2", "--data-seed", "3", "--format", "json"),
    ("data", "stats", "--task", "news_headline", "--data", "here", "--split", "dev"),
    ("data", "audit", "--task", "news_headline", "--data", "lamp:here", "--split-by", "user"),
    ("data", "import", "--task", "news_headline", "--data", "lamp:here", "--output", "new"),
    ("list", "methods"), ("list", "runs", "--results", "none"), ("list", "metrics"),
    ("show", "task", "news_headline"), ("show", "method", "cope", "--task", "topic_writing"),
    ("table", "main", "--results", "none", "--format", "json"), ("overview", "--results", "none"),
    ("score", "--results", "none", "--metric", "rouge1"), ("cache", "list", "--cache-dir", "no"),
    ("run", "--method", "cope", "--task", "news_headline", "--dry-run", "--set", "decoding.alpha=1",
     "--data", "lamp:here", "--seed", "1", "--users", "2", "--batch-size", "4"),
    ("sweep", "--method", "cope", "--task", "news_headline", "--dry-run", "--vary",
     "decoding.alpha=0.1,0.2", "--data", "lamp:here", "--users", "2"),
    ("compare", "one", "two", "--results", "none"), ("examples", "--run", "k", "--results", "none"),
    ("import", "predictions", "theirs.json", "--task", "news_headline", "--method", "m",
     "--model", "x", "--data", "lamp:here", "--users", "2"),
    ("forget", "ann", "--results", "none", "--cache-dir", "no"), ("export", "none", "file.json"),
)  # fmt: skip
_ODD_WORDS = (
    "", "-1", "0", "nan", "inf", "1e400", "9" * 5000, "x" * 5000, "\u202e", "\x1b[2J", "a\nb",
    "../../etc/passwd", "/dev/null", "/", ".", "--", "-", "=", "decoding.alpha=", "all", "\udcff",
    "decoding.alpha=[", "lamp:", "lamp:.", "oppu:/dev", "longlamp:/nowhere", "lampbench:\udcff",
    "\u00e9" * 200, "bundled:x", "1.5", "0x10", "\u0661", "true", "--help", "--format",
    "--version", "~", "~nobody",
)  # fmt: skip


def _command() -> Files:
    from tests.fuzz.data_formats import lamp_files

    data = {f"here/{name}": content for name, content in lamp_files(named=True).items()}
    return {"arguments.json": b"[]", **data}


def _change_command(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    words = list(random.choice(_COMMANDS))
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(words) + 1)
        kind = random.randrange(6)
        if kind == 0 and at < len(words):
            del words[at]
        elif kind == 1:
            words.insert(at, random.choice(_ODD_WORDS))
        elif kind == 2 and at < len(words):
            changed = mutated_bytes(random, words[at].encode("utf-8", "surrogateescape"))
            words[at] = changed[:20_000].replace(b"\0", b"").decode("utf-8", "surrogateescape")
        elif kind == 3:
            words.insert(at, random.choice(random.choice(_COMMANDS)))
        elif at < len(words):
            words[at] = random.choice(_ODD_WORDS)
    (folder / "arguments.json").write_text(json.dumps(words))


_builtins = cache(lambda found=locations._builtins: tuple(found()))
_entry_points = cache(lambda found=locations._entry_points: tuple(found()))


def _read_command(folder: Path) -> None:
    """Run the command in this process, in an empty folder; what it refuses is one line."""
    from lampbench.cli.main import _safe_streams, _status

    words = json.loads((folder / "arguments.json").read_text())
    long = {"leaderboard", "report", "reproduce", "doctor", "diagnose"}
    if long & set(words) or ({"run", "sweep"} & set(words) and "--dry-run" not in words):
        return  # would work for minutes, as it was asked to
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        # the plugins there are do not change, and looking for them takes most of a command's time
        patch.object(locations, "_builtins", _builtins),
        patch.object(locations, "_entry_points", _entry_points),
    ):
        try:
            with _safe_streams():
                code = _status(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    said = err.getvalue()
    assert code in (0, 2) or (code == 1 and "audit" in words), f"{code}: {said}"
    assert "Traceback" not in said
    if code == 2:
        lines = said.strip("\n").split("\n")
        raise LampbenchError(lines[-1].removeprefix("error: "))


@cache
def _tiny_model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.name_or_path = "tiny"
    return model


def _adapter() -> Files:
    import tempfile

    from lampbench.engine.adapter_files import write_adapter
    from lampbench.engine.lora_init import initial_matrices, peft_config
    from tests.engine.engine_inputs import USER_LORA
    from tests.fuzz.run_formats import files_in

    model = _tiny_model()
    with tempfile.TemporaryDirectory() as folder:
        matrices = initial_matrices(model, USER_LORA, seed=0)
        write_adapter(Path(folder) / "a", peft_config(model, USER_LORA, "tiny"), matrices)
        files = files_in(Path(folder))
    config = json.loads(files["a/adapter_config.json"])
    config |= {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.0.self_attn.v_proj": 8}}
    return {**files, "a/adapter_config.json": json.dumps(config).encode()}


def _read_adapter(folder: Path) -> None:
    from lampbench.engine.adapter_files import read_adapter

    found = read_adapter(folder / "a", _tiny_model(), "tiny")
    assert found.matrices and found.targets
    config = found.config
    assert config.r > 0 and math.isfinite(config.lora_alpha / config.r)
    for pattern in (config.rank_pattern, config.alpha_pattern):
        assert all(math.isfinite(value) for value in pattern.values())
    for first, second in found.matrices.values():
        assert first.isfinite().all() and second.isfinite().all()
        assert first.shape[0] == second.shape[1]


def _model() -> Files:
    import lampbench.bundled

    folder = lampbench.bundled.MODEL.with_name("model-small")
    return {
        "m/config.json": (folder / "config.json").read_bytes(),
        "m/tokenizer.json": _tokenizer(),
    }


def _tokenizer() -> bytes:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    return str(Tokenizer(WordLevel({"a": 0, "b": 1, "[UNK]": 2}, "[UNK]")).to_str()).encode()


def _read_model(folder: Path) -> None:
    from lampbench.data.dataset_statistics import length_in_tokens
    from lampbench.engine.model_files import decoder_sizes
    from lampbench.engine.models import resolve_model

    assert length_in_tokens(folder / "m")("a b a") >= 0
    spec = resolve_model(str(folder / "m"))
    sizes = decoder_sizes(spec)
    assert sizes is None or (sizes.layers > 0 and sizes.linear["q_proj"][0] > 0)


def _reply() -> Files:
    message = {"role": "assistant", "content": "Rating: [[7]]"}
    body = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return {"reply.json": json.dumps(body).encode()}


def _change_reply(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    content = files["reply.json"]
    if random.random() < 0.5:
        content = json.dumps(mutated_value(random, json.loads(content))).encode()
    else:
        content = mutated_bytes(random, content)
    (folder / "reply.json").write_bytes(content)


def _read_reply(folder: Path) -> None:
    from lampbench.metrics import judge
    from lampbench.plugin.metric import Answer

    class Opener:
        @contextlib.contextmanager
        def open(self, *_: Any, **__: Any) -> Iterator[Any]:
            yield io.BytesIO((folder / "reply.json").read_bytes())

    names = {judge.URL: "http://127.0.0.1/v1", judge.MODEL: "m"}
    os.environ.update(names)
    real, judge._OPENER = judge._OPENER, Opener()  # type: ignore[assignment]
    try:
        (score,) = judge.Judge().scores([Answer("ann", "q", "text", "reference")])
    finally:
        judge._OPENER = real
        for name in names:
            os.environ.pop(name)
    assert score is None or 0 <= score <= 1


SETTING_FORMATS = [
    Format("configuration file", lambda: {"config.toml": _TOML}, _read_config, named=False),
    Format(
        "hyper-parameter assignments",
        _assignment,
        _read_assignment,
        change=_change_assignment,
        named=False,
    ),
    Format("command line", _command, _read_command, change=_change_command, named=False),
    Format("adapters", _adapter, _read_adapter),
    Format("model configuration and tokenizer", _model, _read_model),
    Format("a judge's reply", _reply, _read_reply, change=_change_reply, named=False),
]
