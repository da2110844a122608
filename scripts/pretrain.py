"""Pre-train the embedded default's small language models from scratch.

    torchrun --nproc-per-node 2 scripts/pretrain.py --source SOURCE_DIR [--model bundled-small]

Each process takes its share of every batch; `python scripts/pretrain.py` is one process.

Reads the two source files that the bundled data is cut from, leaves out everything that belongs to
a test user (by author, by id and by shared word runs), learns a tokenizer, lays the text out once
as one array of tokens, and trains until the configured time is over. `--work` keeps the array, the
log and a checkpoint: the same command again resumes from it, and once trained only writes the
output.
"""

import argparse
import copy
import datetime
import json
import math
import os
import platform
import shutil
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.card import write_card  # noqa: E402
from scripts.corpus import Tokens, lay_out  # noqa: E402
from scripts.sources import Json, stop  # noqa: E402

HELD_OUT_ROWS = 40
FOLDERS = {"bundled": "model", "bundled-small": "model-small"}
"""Where each of the bundled models stands, below `lampbench/bundled`."""


class Trainer:
    """The loop: rows off the token array, AdamW, a learning rate that follows the clock."""

    def __init__(self, config: Json, work: Path, tokenizer: Any) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        self.config, self.work, self.tokenizer = config, work, tokenizer
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.settings = config["training"]
        self.context: int = config["model"]["max_position_embeddings"]
        torch.manual_seed(config["seed"])
        torch.set_num_threads(self.settings["threads"])
        shape = LlamaConfig(
            **config["model"],
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
        self.model: Any = LlamaForCausalLM(shape).to(self.settings["device"])
        self.optimizers = self._optimizers()
        self.step_loss: Any = self._loss
        if self.settings["compile"]:
            self.step_loss = torch.compile(self._loss, dynamic=False)
        self.tokens: Tokens = np.load(work / "train.npy", mmap_mode="r")
        self.elapsed, self.cursor, self.steps = 0.0, 0, 0
        self.log: list[Json] = []

    def _optimizers(self) -> list[Any]:
        """Muon for the layers' matrices if the configuration says so, AdamW for all else."""
        import torch

        from scripts.muon import Muon

        rate, decay = self.settings["learning_rate"], self.settings["weight_decay"]
        inner, outer = [], []
        for name, weight in self.model.named_parameters():
            matrix = weight.ndim == 2 and ".layers." in name
            (inner if matrix and self.settings["optimizer"] == "muon" else outer).append(weight)
        adam = torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.95), weight_decay=decay, fused=True)
        return [adam, Muon(inner, lr=rate, weight_decay=decay)] if inner else [adam]

    @property
    def done(self) -> float:
        """The share of the time that is over."""
        return self.elapsed / (60 * float(self.settings["minutes"]))

    def _loss(self, rows: Any) -> Any:
        import torch

        half = self.settings["precision"] == "bf16"
        with torch.autocast(self.settings["device"], dtype=torch.bfloat16, enabled=half):
            hidden = self.model.model(input_ids=rows, use_cache=False).last_hidden_state
            logits = self.model.lm_head(hidden[:, :-1])
        flat = logits.float().flatten(0, 1)
        return torch.nn.functional.cross_entropy(flat, rows[:, 1:].flatten())

    def _rows(self, tokens: Tokens, start: int, count: int, length: int) -> Any:
        import torch

        flat = tokens[start : start + count * length].astype(np.int64)
        return torch.from_numpy(flat.reshape(count, length)).to(self.settings["device"])

    def held_out(self) -> dict[str, float]:
        """Perplexity on documents that are never trained on."""
        import torch

        result = {}
        for name in ("papers", "posts", "prompts"):
            tokens = np.load(self.work / f"held_out_{name}.npy")
            rows = min(len(tokens) // self.context, HELD_OUT_ROWS)
            with torch.no_grad():
                losses = [
                    float(self._loss(self._rows(tokens, at * self.context, 1, self.context)))
                    for at in range(rows)
                ]
            result[name] = round(math.exp(sum(losses) / len(losses)), 2)
        return result

    def rate(self) -> float:
        """Warm up, then a cosine to zero at the end of the time."""
        warm = min(self.done / self.settings["warmup"], 1.0) if self.steps else 0.01
        fall = 0.5 * (1 + math.cos(math.pi * min(self.done, 1.0)))
        return float(self.settings["learning_rate"] * warm * fall)

    def step(self) -> float:
        """One update; the mean loss of its rows."""
        import torch

        length = [row for begin, row in self.settings["rows"] if self.done >= begin][-1]
        size, micro = self.settings["batch_tokens"], self.settings["micro_batch_tokens"]
        if self.cursor + size > len(self.tokens):
            self.cursor = 0
        micros = range(self.cursor, self.cursor + size, micro)
        total = torch.zeros(())
        for at in micros[self.rank :: self.world]:
            loss = self.step_loss(self._rows(self.tokens, at, micro // length, length))
            (loss / len(micros)).backward()
            total += float(loss.detach()) / len(micros)
        self._share(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
            optimizer.step()
            optimizer.zero_grad()
        self.cursor += size
        self.steps += 1
        return float(total)

    def _share(self, loss: Any) -> None:
        """Add up gradients and loss over the processes."""
        import torch.distributed as dist

        if self.world > 1:
            for tensor in (loss, *(weight.grad for weight in self.model.parameters())):
                dist.all_reduce(tensor)

    def _pass_time(self, seconds: float) -> None:
        """The clock of the schedule: the mean over the processes, so that all stop together."""
        import torch
        import torch.distributed as dist

        clock = torch.tensor(seconds / self.world, dtype=torch.float64)
        if self.world > 1:
            dist.all_reduce(clock)
        self.elapsed += float(clock)

    def run(self) -> None:
        """Train until the time is over, with a log line now and then and checkpoints."""
        self.resume()
        if self.done >= 1:
            return
        logged = saved = self.elapsed
        first = self.steps
        losses: list[float] = []
        while self.done < 1:
            began = time.monotonic()
            losses.append(self.step())
            self._pass_time(time.monotonic() - began)
            if self.elapsed - logged >= self.settings["log_seconds"] or self.done >= 1:
                tokens = (self.steps - first) * self.settings["batch_tokens"]
                speed = round(tokens / (self.elapsed - logged))
                self.note(loss=round(sum(losses) / len(losses), 4), tokens_per_second=speed)
                logged, first, losses = self.elapsed, self.steps, []
            if self.elapsed - saved >= 60 * self.settings["checkpoint_minutes"] or self.done >= 1:
                self.checkpoint()
                saved = self.elapsed

    def note(self, **facts: Any) -> None:
        """A line of the log, kept as JSON and shown."""
        if self.rank:
            return
        line = {"minute": round(self.elapsed / 60, 2), "step": self.steps,
                "tokens": self.steps * self.settings["batch_tokens"], **facts}  # fmt: skip
        self.log.append(line)
        (self.work / "log.json").write_text(json.dumps(self.log, indent=1) + "\n")
        print(json.dumps(line), flush=True)

    def checkpoint(self) -> None:
        """Measure, keep all that resuming needs, and export the model as others can load it."""
        import torch.distributed as dist

        if self.rank == 0:
            self._save()
        if self.world > 1:
            dist.barrier()

    def _save(self) -> None:
        import torch

        self.note(held_out_perplexity=self.held_out())
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        state = {"model": self.model.state_dict(), "optimizers": optimizers,
                 "config": self.config, "elapsed": self.elapsed, "cursor": self.cursor,
                 "steps": self.steps, "log": self.log}  # fmt: skip
        torch.save(state, self.work / "checkpoint.tmp")
        (self.work / "checkpoint.tmp").replace(self.work / "checkpoint.pt")
        self.export(self.work / "model")

    def resume(self) -> None:
        """Take up the last checkpoint of the same configuration, if there is one.

        The time alone may differ: the log then says from when on the schedule was another.
        """
        import torch

        if not (self.work / "checkpoint.pt").exists():
            return
        state = torch.load(self.work / "checkpoint.pt", weights_only=True)
        was = copy.deepcopy(state["config"])
        before = was["training"]["minutes"]
        was["training"]["minutes"] = self.settings["minutes"]
        if was != self.config:
            stop(f"{self.work}: has a checkpoint of another configuration; give another --work")
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.elapsed, self.cursor = state["elapsed"], state["cursor"]
        self.steps, self.log = state["steps"], state["log"]
        if before != self.settings["minutes"]:
            self.note(schedule_until_here=before)

    def export(self, folder: Path) -> None:
        """The model in bf16 safetensors with its tokenizer."""
        import torch

        model = copy.deepcopy(self.model).to("cpu", torch.bfloat16)
        model.generation_config.do_sample = False
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        self.tokenizer.save_pretrained(folder)


def hardware(settings: Json) -> str:
    """What the training ran on, for the card."""
    import torch

    if settings["device"] != "cpu":
        return f"one {torch.cuda.get_device_name()}"
    cores = settings["threads"] * int(os.environ.get("WORLD_SIZE", 1))
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{cores} cores of {names[0] if names else platform.machine()}"


def prepared(config: Json, source: Path, work: Path) -> Any:
    """The tokenizer, once the first of the processes has laid out the text."""
    if "WORLD_SIZE" not in os.environ:
        return lay_out(config, source, work)
    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=datetime.timedelta(hours=1))
    if dist.get_rank() == 0:
        lay_out(config, source, work)
    dist.barrier()
    return lay_out(config, source, work)


def read_config(path: Path, name: str) -> Json:
    """The configuration of one of the models: the common tables, with what is the model's own.

    Raises:
        SystemExit: with one line and exit code 2, when it cannot be read, lacks a table, or has
            no such model.
    """
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{path}: cannot be read: {error}")
    for table in ("tokenizer", "model", "mixture", "training"):
        if table not in config:
            stop(f"{path}: has no [{table}]")
    own = config.pop("models", {}).get(name)
    if own is None:
        stop(f"{path}: has no [models.{name}]")
    for table, values in own.items():
        config[table].update(values)
    return config


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, train, and write model, log and card."""
    parser = argparse.ArgumentParser(description="Pre-train the embedded default's model.")
    parser.add_argument("--config", type=Path, default=ROOT / "scripts/pretrain.toml")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--model", choices=FOLDERS, default="bundled")
    parser.add_argument("--output", type=Path, help="default: the model's place in lampbench")
    parser.add_argument("--work", type=Path, help="default: build/MODEL")
    options = parser.parse_args(arguments)
    output = options.output or ROOT / "lampbench/bundled" / FOLDERS[options.model]
    work = options.work or ROOT / "build" / options.model
    config = read_config(options.config, options.model)
    work.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, work, prepared(config, options.source, work))
    trainer.run()
    if trainer.rank:
        return
    trainer.export(output)
    if options.model == "bundled":  # the other reads the same text
        shutil.copyfile(work / "corpus.npz", output / "corpus.npz")
    corpus = json.loads((work / "corpus.json").read_text(encoding="utf-8"))
    facts = {
        "name": options.model,
        "config": config,
        "corpus": corpus,
        "hardware": hardware(config["training"]),
        "parameters": trainer.model.num_parameters(),
        "held_out_rows": HELD_OUT_ROWS,
        "log": trainer.log,
    }
    write_card(output, facts)


if __name__ == "__main__":
    main()
