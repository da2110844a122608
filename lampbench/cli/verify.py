"""`lampbench verify`: which claims of a submission hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument, option
from lampbench.cli.output import echo_json

if TYPE_CHECKING:
    from lampbench.study.submission_findings import SubmissionFindings, VerifiedSubmission

_KINDS = {"checked": "holds", "unchecked": "not checked", "refused": "REFUSED"}
_WIDTH = max(map(len, _KINDS.values()))


@click.command(cls=Command)
@argument("folders", nargs=-1, required=True, metavar="FOLDER...",
          type=click.Path(path_type=Path))  # fmt: skip
@option("--data", metavar="SOURCE", heading=options.DATA,
        help="Where the runs' data is, as for `lampbench run`.  [default: only bundled data is "
             "compared]")  # fmt: skip
@options.results
@options.output_format
def verify(folders: tuple[Path, ...], data: str | None, results: Path, form: str) -> None:
    """Check what submissions claim: every score is computed again from the answers.

    Also checked are all digests, that queries and references are those of the data, that every
    query is answered, and that a run's key is that of its stated settings. No model and no code
    of the submission runs, so what was trained elsewhere cannot be checked: each such claim is
    named. Answers are compared with those of our own runs of the same key in --results. The exit
    code is 1 if anything is refused.
    """
    from lampbench.study.verify_submission import verify_submission

    verified = [verify_submission(folder, data, results) for folder in folders]
    if form == "json":
        echo_json({"submissions": [_record(one) for one in verified]})
    else:
        for one in verified:
            _print(one)
    click.get_current_context().exit(0 if all(one.holds for one in verified) else 1)


def _print(verified: "VerifiedSubmission") -> None:
    said = verified.submission
    click.echo(f"{verified.folder}: " + (f"submitted by {said.name}" if said else "no submission"))
    _print_findings(verified.whole)
    for run, found in verified.runs:
        manifest = run.manifest
        click.echo(
            f"\n{manifest.method}, {manifest.task}, {manifest.model}, seed {manifest.seed} "
            f"({manifest.key})"
        )
        _print_findings(found)
    refused = len(verified.whole.refused) + sum(len(found.refused) for _, found in verified.runs)
    verdict = f"{refused} claims are refused" if refused else "nothing is refused"
    click.echo(f"\n{verified.folder}: {verdict}")


def _print_findings(found: "SubmissionFindings") -> None:
    for kind, shown in _KINDS.items():
        for line in getattr(found, kind):
            click.echo(f"  {shown:<{_WIDTH}}  {line}")


def _record(verified: "VerifiedSubmission") -> dict[str, Any]:
    said = verified.submission
    return {
        "folder": verified.folder.as_posix(),
        "submitted_by": said.name if said else None,
        "holds": verified.holds,
        **_findings(verified.whole),
        "runs": [
            {"key": run.manifest.key, "path": run.path.as_posix(), **_findings(found)}
            for run, found in verified.runs
        ],
    }


def _findings(found: "SubmissionFindings") -> dict[str, list[str]]:
    return {kind: getattr(found, kind) for kind in _KINDS}
