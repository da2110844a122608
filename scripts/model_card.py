"""The card of a bundled model, made from the log of its training."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TrainingFacts = Mapping[str, Any]

OPTIMIZERS = {
    "muon": "Muon for the matrices of the layers and AdamW for the rest",
    "adamw": "AdamW",
}


def write_model_card(folder: Path, facts: TrainingFacts) -> None:
    """Write the model card and the training log of a finished run into the model's folder."""
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def model_card(facts: TrainingFacts) -> str:
    """The model card as Markdown, from the content of `training.json`."""
    config, corpus, log = facts["config"], facts["corpus"], facts["log"]
    shape, training = config["model"], config["training"]
    last, held = log[-1], [line for line in log if "held_out_perplexity" in line]
    out = corpus["left_out"]
    size = 2 * facts["parameters"] / 2**20
    curve = "\n".join(
        f"| {line['minute']:.0f} | {line['tokens'] / 1e6:.1f} M | {_loss(log, line)} | "
        + " | ".join(f"{line['held_out_perplexity'][name]:.1f}" for name in corpus["held_out"])
        + " |"
        for line in held
    )
    final = ", ".join(f"{name} {value:.1f}" for name, value in last["held_out_perplexity"].items())
    names = " | ".join(corpus["held_out"])
    mixture, rows = config["mixture"], training["rows"]
    lengths = ", ".join(f"{row} from {begin:.0%}" for begin, row in rows)
    text = f"""# {facts["name"]}: a small language model that comes with lampbench

A causal language model of {facts["parameters"] / 1e6:.2f} M parameters, pre-trained from scratch
for this project, so that every method runs on a laptop without a download. Its purpose is to
exercise the harness. This page is made from `training.json`, the log of the training run.

| | |
|---|---|
| architecture | Llama: {shape["num_hidden_layers"]} layers, width {shape["hidden_size"]}, \
feed-forward {shape["intermediate_size"]}, {shape["num_attention_heads"]} heads on \
{shape["num_key_value_heads"]} key-value heads, tied embeddings |
| tokenizer | its own byte-level BPE, {config["tokenizer"]["vocabulary"]} tokens, with a chat \
template |
| context | {shape["max_position_embeddings"]} tokens |
| weights | bf16 safetensors, {size:.1f} MiB |
| held-out perplexity | {final} |

## Data
{corpus["papers"]} titles and abstracts of the ACL Anthology (2016 to 2024, CC BY 4.0, by the
papers' authors, see aclanthology.org) and {corpus["posts"]} posts of digital.gov and 18F (CC0 1.0
/ public domain in the United States): {corpus["tokens_per_pass"] / 1e6:.1f} M tokens per pass. In
each pass, {mixture["instruction"]:.0%} of the papers (drawn again each time) are shown in the
prompt of `scholarly_title` or `abstract_generation` and the others as plain text. Every post is
shown {mixture["posts"]} times as plain text, and {mixture["posts"]} times in the prompts of
`news_headline` and `topic_writing` if it is suitable. {mixture["quoting"]:.0%} of the prompts first
quote one or two texts of the same author, as RAG does. The loss is on all tokens. The model has
read no review.

Left out: {out["test_author"]} texts by a test or dev user, alone or with others;
{out["task_training"]} that train the task adapters, or posts by an author who does;
{out["shared_words"]} that share 13 words in a row (or a whole title) with any of these;
{out["too_short"]} short texts. `lampbench data audit` checks this on a sketch of the text
(`corpus.npz` in the folder of the model `bundled`). {corpus.get("note", "")}

## Training
{_schedules(log)}{last["tokens"] / 1e6:.1f} M tokens
({last["tokens"] / corpus["tokens_per_pass"]:.1f} passes) in
{last["step"]} updates of {training["batch_tokens"]} tokens, in {last["minute"]:.0f} minutes on
{facts["hardware"]}, which did other work too. Optimizer: {OPTIMIZERS[training["optimizer"]]};
learning rate {training["learning_rate"]:g} after a warm-up, with cosine decay to zero; weight decay
{training["weight_decay"]}; {training["precision"]}. Length of the rows in tokens: {lengths} of the
training time on. The reasons are in `scripts/trials.md`.

Perplexity is per token, on the first {facts["held_out_rows"]} rows of
{shape["max_position_embeddings"]} tokens (or as many as there are) of {_counts(corpus)} that the
model was never trained on. Before the longest rows were used, most of each of these rows was beyond
the positions that had been trained.

| minute | tokens | training loss | {names} |
|---|---|---|{"---|" * len(corpus["held_out"])}
{curve}

## What it is not good for
Anything except this harness. It knows the vocabulary of computational linguistics and of US
government web teams, makes up facts, loses the thread after one or two sentences, repeats itself in
long texts, has hardly seen any language other than English, and has never seen a product review.
Its absolute scores cannot be compared with those of the papers' 7B models; only differences between
methods can be read, with care. It was not aligned or filtered for safety.

To make it again: `{facts["command"]}`. The schedule follows the clock, so another machine, or
another load, makes a different model.
"""
    return "\n\n".join(map(_wrapped, text.strip().split("\n\n"))) + "\n"


def _wrapped(block: str) -> str:
    """A block of the card, wrapped again unless it is a title or a table."""
    head, line_break, body = block.partition("\n") if block.startswith("## ") else ("", "", block)
    if body.startswith(("#", "|")):
        return block
    return head + line_break + textwrap.fill(body, 100, break_on_hyphens=False)


def _loss(log: Sequence[TrainingFacts], at: TrainingFacts) -> str:
    """The last training loss that was logged before a line."""
    past = [line["loss"] for line in log if "loss" in line and line["minute"] <= at["minute"]]
    return f"{past[-1]:.2f}" if past else "-"


def _schedules(log: Sequence[TrainingFacts]) -> str:
    """If a run was made longer while it went on: until when it followed another schedule."""
    return "".join(
        f"Until minute {line['minute']:.0f} the schedule was that of a run of "
        f"{line['schedule_until_here']:g} minutes; the run was then made longer. "
        for line in log
        if "schedule_until_here" in line
    )


def _counts(corpus: TrainingFacts) -> str:
    return ", ".join(f"{count} {name}" for name, count in corpus["held_out"].items())
