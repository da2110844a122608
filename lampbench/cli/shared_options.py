"""Options that several commands share, under the headings of their help."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lampbench.cli.command import OTHER, option
from lampbench.cli.names import Assignment, ModelArgument, ModelName, PluginName
from lampbench.cli.values import COUNT, SEED, CacheDir, CountOrAll, Number, OneOf
from lampbench.core.precision import PRECISIONS
from lampbench.util.defaults import CACHE_DIR, RESULTS
from lampbench.util.interrupt import checked_hours

F = TypeVar("F", bound=Callable[..., Any])

WHAT, SHOWN, DATA = "What to run", "What to show", "Data"
MODEL, API, HYPER, PLACES, OUTPUT = (
    "Model",
    "Model behind an API",
    "Hyper-parameters",
    "Where things are",
    "Output",
)


def apply(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator out of several, in the order in which help shows them."""

    def decorate(function: F) -> F:
        for each in reversed(options):
            function = each(function)
        return function

    return decorate


def _plugins(heading: str) -> Callable[[Any], Any]:
    return option("--plugins", multiple=True, metavar="PATH", heading=heading,
                  help="File or folder of plugins; repeatable. LAMPBENCH_PLUGINS adds "
                       "more.")  # fmt: skip


plugins, plugins_to_run = _plugins(OTHER), _plugins(WHAT)
results = option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default=RESULTS,
    show_default=True, metavar="DIR", heading=PLACES, help="Folder of recorded runs.",
)  # fmt: skip
cache_dir = option(
    "--cache-dir", type=CacheDir(path_type=Path, file_okay=False), default=CACHE_DIR,
    show_default=True, metavar="DIR", envvar="LAMPBENCH_CACHE_DIR", heading=PLACES,
    help="Folder of adapters, sampled answers and whatever else later runs can reuse, or the URL "
         "of a store such as s3://bucket/folder (pip install 'lampbench[remote]'). Also "
         "LAMPBENCH_CACHE_DIR.",
)  # fmt: skip
force = option(
    "--force", is_flag=True, heading=OUTPUT,
    help="Predict and record again what is recorded already; trained adapters are kept.",
)  # fmt: skip
dry_run = option(
    "--dry-run", is_flag=True, heading=OUTPUT,
    help="Run nothing; check all options, and print the stages, what is cached, and the cost of "
         "the rest.",
)  # fmt: skip
max_hours = option(
    "--max-hours", type=float, metavar="N", heading=OUTPUT,
    callback=lambda ctx, param, value: checked_hours(value),
    help="End after this many hours, with exit code 75; the same command resumes.  "
         "[default: no limit]",
)  # fmt: skip


def side_by_side(methods: Sequence[str], note: str = "") -> Callable[[Any], Any]:
    """Which recorded answers are shown side by side; `note` ends what is said of --method."""
    return apply(
        option("--task", metavar="NAME", heading=SHOWN, type=PluginName("task"),
               help="Task whose answers are shown.  [default: that of the runs of --run]"),
        option("--method", "methods", multiple=True, default=methods, show_default=True,
               metavar="NAME", heading=SHOWN, type=PluginName("method"),
               help=f"Method to show; repeatable.{note}"),
        option("--model", metavar="MODEL", heading=SHOWN, type=ModelName(),
               help="Only runs of this model."),
        option("--run", "keys", multiple=True, metavar="KEY", heading=SHOWN,
               help="Only this run, whatever its settings and users, in place of --task and "
                    "--method; repeatable."),
    )  # fmt: skip


output_format = option(
    "--format", "form", type=OneOf(["text", "json"]), default="text", show_default=True,
    heading=OUTPUT, help="json: one JSON document on standard output.",
)  # fmt: skip

combinations = apply(
    option("--method", "methods", multiple=True, required=True, metavar="NAME", heading=WHAT,
           type=PluginName("method", every=True),
           help="Method; repeatable. all: every method."),
    option("--task", "tasks", multiple=True, required=True, metavar="NAME", heading=WHAT,
           type=PluginName("task", every=True),
           help="Task; repeatable. all: every task with data."),
    option("--model", "models", multiple=True, default=("bundled",), show_default=True,
           metavar="MODEL", heading=WHAT, type=ModelName(),
           help="Preset (lampbench list models), hub id or folder; repeatable."),
    option("--seed", "seeds", multiple=True, type=SEED, default=(0,), show_default=True,
           metavar="N", heading=WHAT, help="Seed of everything random; repeatable."),
    plugins_to_run,
)  # fmt: skip
tasks_of_data = option(
    "--task", "tasks", multiple=True, default=("all",), show_default=True, metavar="NAME",
    heading=DATA, type=PluginName("task", every=True),
    help="Task; repeatable. all: every task with data.",
)  # fmt: skip


def _dataset(max_history: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Which data and which of its users; `max_history` takes one length of histories or several."""
    return apply(
        option("--data", default="bundled", show_default=True, metavar="SOURCE", heading=DATA,
               help="Where the data comes from: bundled, lamp:DIR, oppu:DIR, longlamp[:DIR], "
                    "lampbench:DIR, or a folder of one of these kinds."),
        option("--users", type=COUNT, metavar="N", heading=DATA,
               help="Number of test users; those with the longest histories are chosen.  "
                    "[default: 100; all in bundled data and where the data names its test users]"),
        option("--min-history", type=COUNT, default=1, show_default=True,
               metavar="N", heading=DATA, help="Leave out test users with fewer past records."),
        max_history,
        option("--split-by", type=OneOf(["user", "time"]), heading=DATA,
               help="Split LaMP or LongLaMP by user or by time, as published.  "
                    "[default: user for LaMP, time for LongLaMP]"),
        option("--split", "splits", multiple=True, type=OneOf(["train", "dev", "test"]),
               heading=DATA,
               help="Read only this split of LaMP or LongLaMP; repeatable. With bundled data and "
                    "lampbench:DIR, dev tests on the users kept for tuning.  "
                    "[default: all splits]"),
        option("--data-seed", type=SEED, default=0, show_default=True, metavar="N", heading=DATA,
               help="Seed of the order of users with equally long histories."),
    )  # fmt: skip


_KEEP = "Keep only the N most recent past records of every test user"
dataset = _dataset(
    option("--max-history", type=COUNT, metavar="N", heading=DATA,
           help=f"{_KEEP}.  [default: all]"),
)  # fmt: skip
datasets = _dataset(
    option("--max-history", type=CountOrAll(), multiple=True, default=("all",), show_default=True,
           metavar="N", heading=DATA,
           help=f"{_KEEP}, or all; repeatable: each N is a run of its own."),
)  # fmt: skip
hyper = apply(
    option("--preset", heading=HYPER,
           type=OneOf(["paper", "small", "smollm2-135m", "api", "reference"]),
           help="Where default values come from.  [default: small for bundled models, smollm2-135m "
                "for that model, api for models behind an API, paper for others, reference with "
                "--fidelity reference]"),
    option("--set", "assignments", multiple=True, metavar="SECTION.NAME=VALUE", heading=HYPER,
           type=Assignment(),
           help="Set one value, for example decoding.alpha=0.5; repeatable. "
                "lampbench show method NAME --task NAME lists them."),
    option("--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
           heading=HYPER, help="TOML file of values, one table per section."),
    option("--fidelity", type=OneOf(["paper", "reference"]), default="paper",
           show_default=True, heading=HYPER,
           help="Which source wins where the paper and its released code disagree."),
)  # fmt: skip
model_args = option(
    "--model-arg", "model_args", multiple=True, metavar="KEY=VALUE", heading=MODEL,
    type=ModelArgument(),
    help="How the model is loaded; repeatable: quantization=4bit or 8bit (bitsandbytes), "
         "attn_implementation=sdpa or eager, device_map, revision, trust_remote_code=true, dtype.",
)  # fmt: skip
_SHORT_FORMS = "engine arguments that were given by options of their own"


def _short_form(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    """A callback that takes an option's value for `--engine-arg KEY=VALUE`."""

    def keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.meta.setdefault(_SHORT_FORMS, []).append(f"{key}={value}")

    return keep


def _with_short_forms(
    context: click.Context, _: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """What `--engine-arg` was given, and what options of their own were, which are eager."""
    return (*value, *context.meta.get(_SHORT_FORMS, []))


engine_args = option(
    "--engine-arg", "engine_args", multiple=True, metavar="KEY=VALUE", heading=MODEL,
    callback=_with_short_forms,
    help="Argument of the engine; repeatable. ENGINE.KEY=VALUE is for the engine of a stage. "
         "lampbench engines lists them.",
)  # fmt: skip
api_base = option(
    "--api-base", metavar="URL", heading=API,
    help="With --engine openai: address of the API, such as https://api.openai.com/v1 or "
         "http://localhost:8000/v1; --model is the name that the server knows. The key is read "
         "from LAMPBENCH_API_KEY, for api.openai.com also from OPENAI_API_KEY.",
)  # fmt: skip
chat_template = option(
    "--chat-template", metavar="NAME", heading=MODEL,
    help="mistral, llama, gemma or qwen (the paper's appendix D), or vicuna.  "
         "[default: the tokenizer's own]",
)  # fmt: skip
machine = apply(
    option("--engine", type=PluginName("engine"), default="batched", show_default=True,
           metavar="NAME", heading=MODEL,
           help="What runs the model (lampbench engines). batched: many users per forward pass. "
                "reference: one user at a time; slow, for checking."),
    engine_args,
    option("--vllm-python", metavar="PATH", heading=MODEL, is_eager=True, expose_value=False,
           callback=_short_form("vllm.python"),
           help="Python of the environment whose vLLM --engine vllm starts."),
    option("--vllm-url", metavar="URL", heading=MODEL, is_eager=True, expose_value=False,
           callback=_short_form("vllm.url"),
           help="vLLM server that --engine vllm joins instead of starting one."),
    chat_template,
    option("--device", metavar="DEVICE", heading=MODEL,
           help="cpu, cuda, cuda:1 or mps.  [default: the fastest one available]"),
    option("--dtype", type=OneOf(PRECISIONS), heading=MODEL,
           help="Precision of weights and activations.  [default: the model's own]"),
    model_args,
    option("--batch-size", type=COUNT, metavar="N", heading=MODEL,
           help="Maximum number of rows per decoding step.  [default: as many as fit in memory]"),
    api_base,
    option("--price", metavar="READ,WRITTEN", heading=API,
           help="Price of a million tokens read and of a million tokens written, in any currency; "
                "the cost is recorded."),
    option("--max-cost", type=Number(0, 1e9, above=True), metavar="N", heading=API,
           help="End before this command has cost more at --price, with exit code 75; the same "
                "command resumes.  [default: no limit]"),
    option("--max-total-tokens", type=COUNT, metavar="N", heading=API,
           help="End before the API has counted more tokens, read and written, in this command, "
                "with exit code 75; the same command resumes.  [default: no limit]"),
)  # fmt: skip
private = option(
    "--private", is_flag=True, heading=OUTPUT,
    help="Record hashes, lengths and scores, but no text of users and none of the model.",
)  # fmt: skip
rewards = option(
    "--rewards", is_flag=True, heading=OUTPUT,
    help="With contrastive decoding, also record the reward of every generated token.",
)  # fmt: skip
