"""Pre-train the embedded default's small language models from scratch.

    torchrun --nproc-per-node 2 scripts/pretrain.py --source SOURCE_DIR [--model bundled-small]

Each process takes its share of every batch; `python scripts/pretrain.py` is one process.

Reads the two source files that the bundled data is made from, leaves out everything that belongs
to a test or dev user (by author, by id and by shared 13-grams), trains a tokenizer, writes the text
as one array of tokens, and trains until the configured time is over. The folder `--work` keeps the
array, the log and a checkpoint: the same command resumes from it, and only writes the output once
training is complete.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.model_card import write_model_card  # noqa: E402
from scripts.pretraining_text import lay_out  # noqa: E402
from scripts.source_texts import Json, stop  # noqa: E402
from scripts.trainer import HELD_OUT_ROWS, Trainer  # noqa: E402

FOLDERS = {"bundled": "model", "bundled-small": "model-small"}
"""The folder of each bundled model, below `lampbench/bundled`."""


def hardware(settings: Json) -> str:
    """What the training ran on, for the model card."""
    import torch

    if settings["device"] != "cpu":
        return f"one {torch.cuda.get_device_name()}"
    cores = settings["threads"] * int(os.environ.get("WORLD_SIZE", 1))
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{cores} core{'s' if cores > 1 else ''} of {names[0] if names else platform.machine()}"


def command(model: str) -> str:
    """The command of this run, with SOURCE_DIR for the folder of the source files."""
    processes = os.environ.get("WORLD_SIZE")
    python = f"torchrun --nproc-per-node {processes}" if processes else "python"
    return f"{python} scripts/pretrain.py --source SOURCE_DIR --model {model}"


def prepared(config: Json, source: Path, work: Path) -> Any:
    """The tokenizer, after the first of the processes has laid out the text."""
    if "WORLD_SIZE" not in os.environ:
        return lay_out(config, source, work)
    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=datetime.timedelta(hours=1))
    if dist.get_rank() == 0:
        lay_out(config, source, work)
    dist.barrier()
    return lay_out(config, source, work)


def read_config(path: Path, name: str) -> Json:
    """The configuration of one of the models: the common tables, updated with the model's own.

    Raises:
        SystemExit: with one line and exit code 2, if it cannot be read, or a table or the model is
            missing.
    """
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{path}: cannot be read: {error}")
    for table in ("tokenizer", "model", "mixture", "training"):
        if table not in config:
            stop(f"{path}: has no table [{table}]; add it")
    own = config.pop("models", {}).get(name)
    if own is None:
        stop(f"{path}: has no table [models.{name}]; add it or choose another --model")
    for table, values in own.items():
        config[table].update(values)
    return config


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, train, and write model, log and card."""
    parser = argparse.ArgumentParser(description="Pre-train one of the bundled models.")
    parser.add_argument("--config", type=Path, default=ROOT / "scripts/pretrain.toml")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--model", choices=FOLDERS, default="bundled")
    parser.add_argument("--output", type=Path, help="default: the model's folder in lampbench")
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
        "command": command(options.model),
        "config": config,
        "corpus": corpus,
        "hardware": hardware(config["training"]),
        "parameters": trainer.model.num_parameters(),
        "held_out_rows": HELD_OUT_ROWS,
        "log": trainer.log,
    }
    write_model_card(output, facts)


if __name__ == "__main__":
    main()
