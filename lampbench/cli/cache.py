"""`lampbench cache`: what is stored, what of it nothing needs, and whether it is sound."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, Group, option
from lampbench.cli.output import echo_json, table
from lampbench.cli.values import Number
from lampbench.util.progress import print_message
from lampbench.util.terminal import message_line

_SHOWN = 10
_DAYS, _LONGEST_DAYS = 7.0, 36_500.0


@click.group(cls=Group)
def cache() -> None:
    """List, clean up or verify the cache of trained adapters and other artifacts."""


@cache.command("list", cls=Command)
@options.cache_dir
@options.output_format
def list_(cache_dir: Path, form: str) -> None:
    """Show what is stored for which task and model, how large it is, and when it was last used.

    A setting is a recipe with its hyper-parameters and seed; users are those of the setting that
    has most of them.
    """
    from lampbench.execution.cache_contents import grouped, require_cache

    require_cache(cache_dir)
    groups = grouped(cache_dir)
    if form == "json":
        fields = ("kind", "task", "model", "artifacts", "settings", "users", "bytes")
        records: list[dict[str, Any]] = [
            {**{name: getattr(group, name) for name in fields}, "last_used": _date(group.last_used)}
            for group in groups
        ]
        echo_json({"cache": cache_dir.as_posix(), "artifacts": records})
        return
    if not groups:
        _say(f"{cache_dir}: no artifact is stored")
        return
    heads = ["kind", "artifacts", "settings", "users", "bytes", "last used", "task, model"]
    rows = [
        [group.kind, f"{group.artifacts:,}", f"{group.settings:,}", f"{group.users:,}",
         f"{group.bytes:,}", _date(group.last_used), f"{group.task}, {group.model}"]
        for group in groups
    ]  # fmt: skip
    click.echo(table(heads, rows))
    total = sum(group.bytes for group in groups)
    count = sum(group.artifacts for group in groups)
    click.echo()
    _say(f"{cache_dir}: {count:,} artifacts, {total:,} bytes")


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


@cache.command(cls=Command)
@options.cache_dir
@option("--results", multiple=True, default=(Path("results"),), show_default=True, metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False), heading=options.PLACES,
        help="Folder of recorded runs whose artifacts are kept; repeatable.")  # fmt: skip
@options.plugins
@option("--older-than", type=Number(0, _LONGEST_DAYS), default=_DAYS, show_default=True,
        metavar="N", help="Keep everything that was used in the last N days.")  # fmt: skip
@option("--yes", is_flag=True, help="Remove it; without this, nothing is removed.")
def gc(
    cache_dir: Path,
    results: tuple[Path, ...],
    plugins: tuple[str, ...],
    older_than: float,
    yes: bool,
) -> None:
    """Remove what nothing refers to: say what it is, and with --yes remove it.

    Removed are artifacts that no recorded run needs, partial work, damaged artifacts, unused locks
    and temporary files. Recorded runs do not change: what they need is kept, and where that cannot
    be found out, all artifacts of the run's task are kept.
    """
    from lampbench.execution.cache_contents import require_cache
    from lampbench.study.unused_artifacts import needed, remove, unused

    require_cache(cache_dir)
    keep = needed(results, cache_dir, plugins)
    for line in keep.unplanned:
        print_message(line)
    counts: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    found = unused(cache_dir, keep, older_than)
    for each in remove(found) if yes else found:
        counts[each.what] += 1
        sizes[each.what] += each.bytes
        if counts[each.what] <= _SHOWN:
            _say(f"{each.what}: {each.path} ({each.bytes:,} bytes)")
    for what, count in counts.items():
        if count > _SHOWN:
            _say(f"{what}: {count - _SHOWN:,} more")
    total, bytes_ = sum(counts.values()), sum(sizes.values())
    if not total:
        _say(f"{cache_dir}: nothing to remove")
    elif yes:
        _say(f"{cache_dir}: {total:,} removed, {bytes_:,} bytes")
    else:
        _say(f"{cache_dir}: {total:,} can be removed, {bytes_:,} bytes; --yes removes them")


@cache.command(cls=Command)
@options.cache_dir
@click.pass_context
def verify(ctx: click.Context, cache_dir: Path) -> None:
    """Check what is stored against the digests that were recorded when it was made.

    Checked are artifacts, and the journals and checkpoints of unfinished work. The exit code is 1
    if one is damaged. The next run that needs it makes it again.
    """
    from lampbench.execution.cache_contents import artifacts, damaged_artifacts, require_cache
    from lampbench.execution.partial_work import checked_work

    require_cache(cache_dir)
    count = sum(1 for _ in artifacts(cache_dir))
    damaged = unfinished = unknown = 0
    for each, damage in damaged_artifacts(cache_dir):
        damaged += 1
        _say(f"{each.folder}: {damage}")
    for file, problem in checked_work(cache_dir):
        unfinished += 1
        unknown += problem is None
        if problem:
            damaged += 1
            _say(f"{file}: {problem}")
    if unknown:
        _say(
            f"{cache_dir}: {unknown:,} journals were not checked: an earlier version began them, "
            "and they do not say whose they are"
        )
    held = f"{count:,} artifacts and {unfinished:,} files of unfinished work"
    if damaged:
        _say(
            f"{cache_dir}: {damaged:,} of {held} are damaged; the next run that needs one makes it "
            "again"
        )
        ctx.exit(1)
    _say(f"{cache_dir}: no damage in {held}")


def _say(text: str) -> None:
    """Print a line on standard output; names of files in it may hold anything."""
    click.echo(message_line(text))
