"""The loop that pre-trains a small model, alone or as one of several processes."""

import copy
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from scripts.pretraining_text import Tokens
from scripts.source_texts import Json, stop

HELD_OUT_ROWS = 40


class Trainer:
    """The training loop: rows of the token array, a learning rate that follows the clock."""

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
        inner: list[Any] = []
        outer: list[Any] = []
        for name, weight in self.model.named_parameters():
            matrix = weight.ndim == 2 and ".layers." in name
            (inner if matrix and self.settings["optimizer"] == "muon" else outer).append(weight)
        adam = torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.95), weight_decay=decay, fused=True)
        return [adam, Muon(inner, lr=rate, weight_decay=decay)] if inner else [adam]

    @property
    def done(self) -> float:
        """The share of the training time that has passed."""
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
        """Perplexity per token on documents that are never trained on."""
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
        """The learning rate: a warm-up, then a cosine to zero at the end of the time."""
        warm = min(self.done / self.settings["warmup"], 1.0) if self.steps else 0.01
        fall = 0.5 * (1 + math.cos(math.pi * min(self.done, 1.0)))
        return float(self.settings["learning_rate"] * warm * fall)

    def step(self) -> float:
        """Make one update and return the mean loss of its rows, in nats per token."""
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
        """Sum gradients and loss over the processes."""
        import torch.distributed as dist

        if self.world > 1:
            for tensor in (loss, *(weight.grad for weight in self.model.parameters())):
                dist.all_reduce(tensor)

    def _pass_time(self, seconds: float) -> None:
        """Advance the schedule by the mean time of the processes, so that all stop together."""
        import torch
        import torch.distributed as dist

        clock = torch.tensor(seconds / self.world, dtype=torch.float64)
        if self.world > 1:
            dist.all_reduce(clock)
        self.elapsed += float(clock)

    def run(self) -> None:
        """Train until the time is over, with log lines and checkpoints at intervals."""
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
        """Add a line to the log, which is kept as JSON, and print it."""
        if self.rank:
            return
        line = {"minute": round(self.elapsed / 60, 2), "step": self.steps,
                "tokens": self.steps * self.settings["batch_tokens"], **facts}  # fmt: skip
        self.log.append(line)
        (self.work / "log.json").write_text(json.dumps(self.log, indent=1) + "\n")
        print(json.dumps(line), flush=True)

    def checkpoint(self) -> None:
        """Measure, save everything that resuming needs, and export the model."""
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
        """Resume from the last checkpoint of the same configuration, if there is one.

        Only the training time may differ; the log then says when the schedule changed.
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
        """Write the model as bf16 safetensors, with its tokenizer."""
        import torch

        model = copy.deepcopy(self.model).to("cpu", torch.bfloat16)
        model.generation_config.do_sample = False
        model.save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        self.tokenizer.save_pretrained(folder)
