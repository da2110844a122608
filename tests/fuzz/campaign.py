"""Give many changed inputs to everything that reads files, and record what happened.

    python -m tests.fuzz.campaign --inputs 100000 --seed 1 --output docs/fuzzing.json

Each format is read in a process of its own, all its inputs one after another, under a limit of
memory and of 10 s per input. Input number N of a seed is the same in every campaign, so that a
finding is repeated with `--format NAME --first N --inputs 1`.
"""

import argparse
import faulthandler
import json
import multiprocessing
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from lampbench.util.errors import LampbenchError
from lampbench.util.terminal import LONGEST, message_line, visible
from tests.fuzz.formats import Format, SoundFolder

SLOWEST = 10.0
"""Seconds that one input may take."""
_STARVED = 6
"""How much longer an input may take while the machine is busy with other work."""
SLICE = 2500
"""Inputs of a format before the next format has its turn."""
MOST_REFUSALS = 2000
"""Kinds of messages that are counted apart."""
MORE_MEMORY = 2 * 2**30
"""Bytes that a process may use beyond what it uses before the first input."""


class Hang(BaseException):
    """An input took longer than `SLOWEST`."""


@dataclass
class Outcome:
    """What the inputs of a format did.

    `findings` has the first input of each kind of failure, by the kind; `refusals` counts
    messages, with what is particular to an input taken out. `slowest` is the most processor time
    that an input took, in seconds.
    """

    inputs: int = 0
    read: int = 0
    refused: int = 0
    failed: int = 0
    slowest: float = 0.0
    longest_message: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    kinds_of_refusal: int = 0


def give(form: Format, seed: int, first: int, count: int, place: Path) -> Iterator[Outcome]:
    """Give inputs to a format in this process; after each, the outcome so far.

    `place` is an empty folder to write them to.
    """
    outcome = Outcome()
    folder = SoundFolder(place, form.make())
    for number in range(first, first + count):
        folder.restore()
        form.change(Random(f"{seed} {form.name} {number}"), place, folder.files)
        _give_one(form, place, number, outcome)
        yield outcome


def _give_one(form: Format, place: Path, number: int, outcome: Outcome) -> None:
    outcome.inputs += 1
    began = time.process_time()
    try:
        form.read(place)
        outcome.read += 1
    except LampbenchError as error:
        outcome.refused += 1
        text = message_line(f"error: {error}")
        outcome.longest_message = max(outcome.longest_message, len(text))
        kind = _template(text, place)
        if kind in outcome.refusals or len(outcome.refusals) < MOST_REFUSALS:
            outcome.refusals[kind] = outcome.refusals.get(kind, 0) + 1
        if wrong := wrong_with(text, form, place):
            _fail(outcome, f"{wrong}: {_template(text, place)}", number)
    except (Exception, Hang) as error:
        _fail(outcome, _signature(error), number)
    outcome.slowest = max(outcome.slowest, time.process_time() - began)


def wrong_with(text: str, form: Format, place: Path) -> str:
    """What a refusal lacks: one bounded line that names the place and a remedy."""
    if len(text) > LONGEST:
        return "too long"
    if len(text.splitlines()) != 1 or visible(text) != text:
        return "not one printable line"
    if form.named and str(place) not in text:
        return "names no file"
    return "names no remedy" if form.named and ";" not in text else ""


def _fail(outcome: Outcome, kind: str, number: int) -> None:
    outcome.failed += 1
    outcome.findings.setdefault(kind[:300], number)


def _signature(error: BaseException) -> str:
    """The type of an error and the last line of this project that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "lampbench" in Path(f.filename).parts or "fuzz" in f.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:120]}"


def _template(text: str, place: Path) -> str:
    """A message with numbers and quoted text taken out."""
    text = text.replace(str(place), "DIR")
    text = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "'...'", text)
    return re.sub(r"\d[\d,.]*", "N", text)[:240]


def _limited(form: Format, seed: int, first: int, count: int, answer: str) -> None:
    """Give the inputs in this process, under limits; the outcome so far goes to `answer`."""
    began, done = time.monotonic(), Outcome()
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        place = Path(folder).resolve()
        any(give(form, seed, -1, 1, place))  # imports what is imported once
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGALRM, _late)
        warnings.simplefilter("ignore")
        _watch()
        for done in give(form, seed, first, count, place):
            _watch()
            if time.monotonic() - began > 1:
                began = time.monotonic()
                _save(done, answer)
        faulthandler.cancel_dump_traceback_later()
    _save(done, answer)


_begun = [0.0, 0.0]
"""When the input began: the time of day and of this process."""


def _watch() -> None:
    """Begin the time of the next input: first an exception ends it, then the process ends."""
    faulthandler.dump_traceback_later((2 + _STARVED) * SLOWEST, exit=True)
    _begun[:] = time.monotonic(), time.process_time()
    signal.setitimer(signal.ITIMER_REAL, SLOWEST)


def _late(number: int, frame: FrameType | None) -> None:
    """End the input, unless other processes have left it less than half of a processor."""
    passed, used = time.monotonic() - _begun[0], time.process_time() - _begun[1]
    if used < SLOWEST / 2 and passed < _STARVED * SLOWEST:
        signal.setitimer(signal.ITIMER_REAL, SLOWEST / 2)
    else:
        raise Hang


def _save(outcome: Outcome, answer: str) -> None:
    Path(f"{answer}.new").write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    Path(f"{answer}.new").rename(answer)


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def run(form: Format, seed: int, first: int, count: int) -> Outcome:
    """Give the inputs in a process of their own; where it dies, another one goes on."""
    total = Outcome()
    last = first + count
    while first < last:
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "outcome.json"
            arguments = (form, seed, first, last - first, str(answer))
            child = multiprocessing.get_context("fork").Process(target=_limited, args=arguments)
            child.start()
            child.join()
            done = Outcome(**json.loads(answer.read_text())) if answer.exists() else Outcome()
        _add(total, done)
        first += done.inputs
        if child.exitcode != 0:  # repeated from the last saved outcome, one at a time
            _fail(total, f"the process ended with {child.exitcode} at or after this", first)
            first += 1
    return total


def _add(total: Outcome, other: Outcome) -> None:
    for name in ("inputs", "read", "refused", "failed"):
        setattr(total, name, getattr(total, name) + getattr(other, name))
    for name in ("slowest", "longest_message"):
        setattr(total, name, max(getattr(total, name), getattr(other, name)))
    total.findings = {**other.findings, **total.findings}
    total.refusals = dict(Counter(total.refusals) + Counter(other.refusals))
    total.kinds_of_refusal = max(total.kinds_of_refusal, len(total.refusals))


def main() -> None:
    """Run a campaign, or go on with one; exit code 1 if anything failed."""
    from tests.fuzz.every_format import FORMATS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs per format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--format", action="append", choices=sorted(FORMATS), help="repeatable")
    parser.add_argument("--output", type=Path, help="JSON file of the figures; goes on from there")
    parser.add_argument("--messages", type=Path, help="JSON file of all refusals")
    given = parser.parse_args()
    found = _recorded(given.output, given.seed)
    names = given.format or list(FORMATS)
    for name in names:
        found.setdefault(name, Outcome())
        with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
            any(give(FORMATS[name], given.seed, -1, 1, Path(folder)))  # for all processes to come
    while left := [name for name in names if found[name].inputs < given.inputs]:
        for name in left:
            done = found[name]
            count = min(SLICE, given.inputs - done.inputs)
            _add(done, run(FORMATS[name], given.seed, given.first + done.inputs, count))
            print(f"{name}: {done.inputs:,} inputs, {done.failed} failed", flush=True)
            _record(given, found)
    for name in names:
        for kind, number in found[name].findings.items():
            print(f"{name}: {number}: {kind}")
    sys.exit(1 if any(found[name].failed for name in names) else 0)


def _recorded(file: Path | None, seed: int) -> dict[str, Outcome]:
    """The outcomes in a file, of a campaign that is not finished."""
    if file is None or not file.exists():
        return {}
    page = json.loads(file.read_text(encoding="utf-8"))
    if page["seed"] != seed:
        raise SystemExit(f"{file}: is a campaign of seed {page['seed']}; name another --output")
    return {
        name: Outcome(**{**row, "refusals": {}, "kinds_of_refusal": row["kinds_of_refusal"]})
        for name, row in page["formats"].items()
    }


def _record(given: argparse.Namespace, found: dict[str, Outcome]) -> None:
    """Write the figures."""
    if given.output:
        rows = {name: asdict(one) for name, one in found.items()}
        for row in rows.values():
            del row["refusals"]
        page = {"seed": given.seed, "seconds allowed": SLOWEST, "formats": rows}
        new = given.output.with_suffix(".new")
        new.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
        new.replace(given.output)
    if given.messages:
        texts = {name: Counter(one.refusals).most_common() for name, one in found.items()}
        given.messages.write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
