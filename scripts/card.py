"""The cards of the bundled data and model, as far as they are made from what was measured."""

import json
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

OPTIMIZERS = {
    "muon": "Muon for the matrices of the layers and AdamW for the rest",
    "adamw": "AdamW",
}
BEGIN, END = "<!-- statistics: written by the scripts -->\n", "<!-- end of statistics -->"
TASKS = (
    "news_headline",
    "scholarly_title",
    "abstract_generation",
    "topic_writing",
    "review_writing",
)


def read_users(path: Path) -> list[dict[str, Any]]:
    """The users of a bundled file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def statistics_table(data: Path) -> str:
    """A row per task as in the paper's Table 4: users, history, queries and lengths in words."""
    lines = [
        "| task | test users | history per user | test queries | dev users | dev queries "
        "| training users | training queries | words of the input | words of the output |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        if not (data / task / "test.jsonl").exists():
            continue
        test, dev, train = (
            read_users(data / task / f"{part}.jsonl") for part in ("test", "dev", "train")
        )
        queries, tuned, trained = (
            [query for user in users for query in user["queries"]] for users in (test, dev, train)
        )
        everything = (*queries, *tuned, *trained)
        cells = (
            task,
            len(test),
            _spread(len(user["history"]) for user in test),
            len(queries),
            len(dev),
            len(tuned),
            len(train),
            len(trained),
            _spread(len(" ".join(query["fields"].values()).split()) for query in everything),
            _spread(len(query["target"].split()) for query in everything),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def write_statistics(data: Path) -> None:
    """Bring the table in the data card up to date, where there is a card."""
    card = data / "README.md"
    if card.exists():
        text = card.read_text(encoding="utf-8")
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        card.write_text(head + BEGIN + statistics_table(data) + END + tail, encoding="utf-8")


def _spread(values: Iterable[int]) -> str:
    numbers = list(values)
    return f"{statistics.mean(numbers):.1f} ± {statistics.pstdev(numbers):.1f}"


def write_card(folder: Path, facts: Json) -> None:
    """Write the model card and the training log of a finished run into the model's folder."""
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def model_card(facts: Json) -> str:
    """The model card, from what `training.json` holds."""
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
    text = f"""# {facts["name"]}: a small model of the embedded default

A causal language model of {facts["parameters"] / 1e6:.2f} M parameters, pre-trained here from
scratch, so that every method runs on a laptop without a download. It is there to exercise the
harness. This page is made from `training.json`, the log of the real run.

| | |
|---|---|
| architecture | Llama: {shape["num_hidden_layers"]} layers, width {shape["hidden_size"]}, \
feed-forward {shape["intermediate_size"]}, {shape["num_attention_heads"]} heads on \
{shape["num_key_value_heads"]} key-value heads, tied embeddings |
| tokenizer | byte-level BPE of its own, {config["tokenizer"]["vocabulary"]} tokens, with a chat \
template |
| context | {shape["max_position_embeddings"]} tokens |
| weights | bf16 safetensors, {size:.1f} MiB |
| held-out perplexity | {final} |

## Data
{corpus["papers"]} titles and abstracts of the ACL Anthology (2016 to 2024, CC BY 4.0, by the
papers' authors, see aclanthology.org) and {corpus["posts"]} posts of digital.gov and 18F (CC0 1.0
/ public domain in the United States): {corpus["tokens_per_pass"] / 1e6:.1f} M tokens a pass. In
each pass {mixture["instruction"]:.0%} of the papers, drawn anew, stand in the prompt of
`scholarly_title` or `abstract_generation` instead; every post stands {mixture["posts"]} times as it
is, and where it serves for them as often in the prompts of `news_headline` and `topic_writing`.
{mixture["quoting"]:.0%} of the prompts quote one or two texts of the same author first, as RAG
does. The loss is on all tokens. No review was read.

Left out: {out["test_author"]} texts by a test or dev user, alone or with others;
{out["task_training"]} that train the task adapters, or posts by an author who does;
{out["shared_words"]} that share 13 words in a row (or a whole title) with any of these;
{out["too_short"]} short texts. `lampbench data audit` checks it on a sketch of the text
(`corpus.npz` of the model `bundled`). {corpus.get("note", "")}

## Training
{_schedules(log)}{last["tokens"] / 1e6:.1f} M tokens
({last["tokens"] / corpus["tokens_per_pass"]:.1f} passes) in
{last["step"]} updates of {training["batch_tokens"]} tokens, {last["minute"]:.0f} minutes on
{facts["hardware"]}, shared with other work: {OPTIMIZERS[training["optimizer"]]}, learning rate
{training["learning_rate"]:g} after a warm-up and with a cosine to zero, weight decay
{training["weight_decay"]}, {training["precision"]}, rows of {lengths} of the time on (tokens).
Why so: `scripts/trials.md`. Perplexity is per token, on the first {facts["held_out_rows"]} rows of
{shape["max_position_embeddings"]} tokens (or as many as there are) of {_counts(corpus)} that were
never trained on: until the long rows came, most of each lay beyond the positions that had been
trained.

| minute | tokens | training loss | {names} |
|---|---|---|{"---|" * len(corpus["held_out"])}
{curve}

## What it is not good for
Anything but this harness. It knows words of computational linguistics and of US government web
teams, makes up facts, loses the thread after a sentence or two, repeats itself in long texts, has
hardly seen any other language, and has seen no product review at all. Its absolute scores mean
nothing next to those of the papers' 7B models; only differences between methods on it can be read,
and those with care. It was not aligned or filtered for safety.

Remake it with `{facts["command"]}`. The schedule follows the clock, so another machine, or another
load, gets another model.
"""
    return "\n\n".join(map(_wrapped, text.strip().split("\n\n"))) + "\n"


def _wrapped(block: str) -> str:
    """A block of the card, filled anew unless it is a title or a table."""
    head, line_break, body = block.partition("\n") if block.startswith("## ") else ("", "", block)
    if body.startswith(("#", "|")):
        return block
    return head + line_break + textwrap.fill(body, 100, break_on_hyphens=False)


def _loss(log: Sequence[Json], at: Json) -> str:
    """The training loss logged last before a line."""
    past = [line["loss"] for line in log if "loss" in line and line["minute"] <= at["minute"]]
    return f"{past[-1]:.2f}" if past else "-"


def _schedules(log: Sequence[Json]) -> str:
    """Where a run was lengthened while it went on: until when it followed another schedule."""
    return "".join(
        f"Until minute {line['minute']:.0f} the schedule was that of a run of "
        f"{line['schedule_until_here']:g} minutes, which was then made longer. "
        for line in log
        if "schedule_until_here" in line
    )


def _counts(corpus: Json) -> str:
    return ", ".join(f"{count} {name}" for name, count in corpus["held_out"].items())
