"""The experiments behind `pretrain.toml`: short trainings that differ in one setting each.

    python scripts/trials.py --source SOURCE_DIR [--work build/trials] [--only NAME]

Each trial of `trials.toml` trains for the same few minutes on one core and is measured in bits per
byte of held-out text, which does not depend on the tokenizer. Prints the table.
"""

import argparse
import json
import math
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.pretrain import read_config  # noqa: E402
from scripts.pretraining_text import lay_out  # noqa: E402
from scripts.source_texts import Json  # noqa: E402
from scripts.trainer import HELD_OUT_ROWS, Trainer  # noqa: E402

CONTEXT = 256
"""Tokens per row in the measurement; trials never see longer rows."""


def run(name: str, settings: Json, minutes: float, source: Path, work: Path) -> Json:
    """Train one trial, or resume it from `work`, and return its results."""
    config = read_config(ROOT / "scripts/pretrain.toml", "bundled")
    for path, value in settings.items():
        table, _, key = path.partition(".")
        config[table][key] = value
    config["training"]["minutes"] = minutes
    place = work / name.replace(" ", "-").replace(",", "")
    place.mkdir(parents=True, exist_ok=True)
    tokenizer = lay_out(config, source, place)
    trainer = Trainer(config, place, tokenizer)
    trainer.context = CONTEXT
    trainer.run()
    perplexity = trainer.log[-1]["held_out_perplexity"]
    return {
        "trial": name,
        "million parameters": round(trainer.model.num_parameters() / 1e6, 2),
        "thousand tokens": round(trainer.log[-1]["tokens"] / 1e3),
        **{
            kind: bits_per_byte(value, kind, place, tokenizer) for kind, value in perplexity.items()
        },
    }


def bits_per_byte(perplexity: float, kind: str, place: Path, tokenizer: Any) -> float:
    """Bits per byte of held-out text: 0 is certainty, 8 is chance."""
    tokens = np.load(place / f"held_out_{kind}.npy")
    rows = min(len(tokens) // CONTEXT, HELD_OUT_ROWS)
    text = tokenizer.decode(tokens[: rows * CONTEXT])
    bits = math.log2(perplexity) * rows * (CONTEXT - 1)
    return round(bits / len(text.encode()), 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, train, and print the table as Markdown."""
    from tabulate import tabulate

    parser = argparse.ArgumentParser(description="The experiments behind pretrain.toml.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "build/trials")
    parser.add_argument("--only", action="append", help="name of a trial; may be repeated")
    options = parser.parse_args(arguments)
    plan = tomllib.loads((ROOT / "scripts/trials.toml").read_text(encoding="utf-8"))
    rows = [
        run(name, {**plan["base"], **own}, plan["minutes"], options.source, options.work)
        for name, own in plan["trials"].items()
        if not options.only or name in options.only
    ]
    (options.work / "trials.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(tabulate(rows, headers="keys", tablefmt="github"))


if __name__ == "__main__":
    main()
