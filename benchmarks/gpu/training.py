"""Training at one model's shape: ours alone first, then beside the reference loop."""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import roofline, timing, training
from benchmarks.gpu.kernels import kernels
from benchmarks.gpu.sizes import SpeedPart, fitting, reset_peak, speed_part

_ORDER = ("sft", "dpo")
_FEW, _MORE = 1, 4  # users from whose times that of more is foretold
_PROFILE = 30.0  # seconds that a list of kernels may take
_OF_A_STUDY = 100, 16  # users, and records of each


def main() -> None:
    """Measure training; exit code 1 if something went wrong."""
    with tempfile.TemporaryDirectory() as home:
        part = speed_part(Path(home), main.__doc__)
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / 3 / (len(_ORDER) - number)
            part.attempt(operation, partial(_alone, part, operation, share))
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / (len(_ORDER) - number)
            part.attempt(operation, partial(_compare, part, operation, share))
        if part.on_cuda and part.clock.left > _PROFILE:
            part.attempt("sft, kernels", partial(_kernels, part, "sft, kernels"))
        if part.errors:
            sys.exit("\n".join(part.errors))


def _alone(part: SpeedPart, operation: str, allowed: float) -> None:
    """Ours, with no peer in the device's memory: speed, memory and share of the roofline."""
    work, sizes = part.work, part.sizes
    engine, batch = work.batched, sizes.batch

    def run(users: int, folder: str) -> float:
        jobs = work.jobs(operation, *sizes.examples, 2 * batch, batch, folder, users)
        return timing.seconds(lambda: list(engine.train(jobs, _ignore)), engine.device)

    run(1, f"warm-{operation}")
    few, more = run(_FEW, f"few-{operation}"), run(_MORE, f"more-{operation}")
    each = max(0.0, more - few) / (_MORE - _FEW)  # the first one takes longer than each other
    users = fitting(sizes.trained, each, allowed - few)
    reset_peak(engine.device)
    spent = run(users, f"measured-{operation}")
    jobs = work.jobs(operation, *sizes.examples, 2 * batch, batch, "again", users)
    rate = users * 2 * batch / spent
    part.record(
        operation,
        users=users,
        batch=batch,
        examples_per_user=2 * batch,
        seconds=round(spent, 3),
        examples_per_second=round(rate, 2),
        minutes_of_100_users_16_records=round(_OF_A_STUDY[0] * _OF_A_STUDY[1] / rate / 60, 2),
        of_roofline=roofline.trained_share(work, jobs, spent),
        peak_bytes=timing.peak_memory(engine.device),
    )


def _kernels(part: SpeedPart, title: str) -> None:
    """What the device does for two batches of some users."""
    work, sizes = part.work, part.sizes
    jobs = work.jobs("sft", *sizes.examples, 2 * sizes.batch, sizes.batch, "seen", _MORE)
    found = kernels(lambda: list(work.batched.train(jobs, _ignore)), work.batched.device)
    part.record(title, users=_MORE, **found)


def _compare(part: SpeedPart, operation: str, allowed: float) -> None:
    """Ratios to the reference loop and to one user at a time, in as many rounds as fit."""
    if "users" not in part.page[operation]:
        return  # ours alone has failed already
    began = time.monotonic()
    _ratios(part, operation, 1)
    spent, rounds = time.monotonic() - began, part.sizes.rounds
    if rounds > 1 and (rounds + 1) * spent < allowed:
        _ratios(part, operation, rounds)


def _ratios(part: SpeedPart, operation: str, rounds: int) -> None:
    sizes, users = part.sizes, part.page[operation]["users"]
    found = training.compare(part.work, operation, sizes.examples, users, rounds, sizes.batch, 1)
    names = ("vs_reference", "vs_ours_alone", "largest_difference", "share_that_differs")
    values = {name: found[name] for name in names}
    part.record(operation, rounds=rounds, peak_bytes_with_peers=found["peak_bytes"], **values)


def _ignore(*_: object) -> None:
    pass


if __name__ == "__main__":
    main()
