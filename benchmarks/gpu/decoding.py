"""Decoding at one model's shape: ours alone first, then beside the peers."""

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import decoding, roofline, timing
from benchmarks.gpu.kernels import kernels
from benchmarks.gpu.sizes import SpeedPart, fitting, largest, reset_peak, speed_part
from benchmarks.peft_mixed import PeftMixed

_ORDER = ("contrastive", "greedy", "sample")
_FEW = 4  # tokens from which the time of more is foretold
_SOME = 17  # tokens of which the steps are timed, and compared with those of another kind
_LOADING = 90.0  # seconds without which PEFT's mixed batches are not begun on a GPU
_OTHER = {"graph": "exact", "exact": "static"}  # kinds of steps that are compared


def main() -> None:
    """Measure decoding; exit code 1 if something went wrong."""
    with tempfile.TemporaryDirectory() as home:
        part = speed_part(Path(home), main.__doc__)
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / 3 / (len(_ORDER) - number)
            part.attempt(operation, partial(_alone, part, operation, share))
        title = f"contrastive, {_OTHER[part.work.batched._step]} steps"
        part.attempt(title, partial(_other_steps, part, title))
        if part.on_cuda:
            title = "contrastive, kernels"
            part.attempt(title, partial(_kernels, part, title))
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / 2 / (len(_ORDER) - number)
            part.attempt(operation, partial(_compare, part, operation, "reference", None, share))
        part.attempt("peft_mixed", partial(_mixed, part))
        if part.errors:
            sys.exit("\n".join(part.errors))


def _alone(part: SpeedPart, operation: str, allowed: float) -> None:
    """Ours, with no peer in the device's memory: speed, memory and share of the roofline."""
    run = partial(_seconds, part, operation)
    run(_SOME)  # warms up
    reading = run(1)
    step = (run(_SOME) - reading) / (_SOME - 1)
    answer = fitting(part.sizes.lengths[1], step, allowed - reading)
    work, users = part.work, part.sizes.decoded
    engine = work.batched
    reset_peak(engine.device)
    spent = run(answer)
    prompt = part.asked(operation, 1)[0].prompt
    read = len(engine._encoder.encode_prompt("", prompt, 10**6).ids)
    samples = 3 if operation == "sample" else 1
    least = roofline.least_seconds(work, operation, users, read, answer)
    part.record(
        operation,
        users=users,
        steps=engine._step,
        prompt_tokens=read,
        answer_tokens=answer,
        seconds=round(spent, 3),
        reading_seconds=round(reading, 3),
        step_milliseconds=step_milliseconds(spent - reading, answer - 1),
        tokens_per_second=round(users * samples * answer / spent),
        of_roofline=roofline.share(work, operation, users, read, answer, spent),
        reading_of_roofline=round(least[0] / reading, 3),
        steps_of_roofline=round(least[1] / (spent - reading), 3) if spent > reading else None,
        peak_bytes=timing.peak_memory(engine.device),
    )


def _other_steps(part: SpeedPart, title: str) -> None:
    """Contrastive steps of another kind; the answers are compared.

    The time of CUDA graphs includes that of recording them.
    """
    engine = part.work.batched
    own, asked = engine._step, part.asked("contrastive", _SOME)
    run = partial(_seconds, part, "contrastive")
    expected = {(c.id, c.sample): c.token_ids for c in engine.generate(asked)}
    spent = run(_SOME)
    engine._step = _OTHER[own]
    try:
        found = {(c.id, c.sample): c.token_ids for c in engine.generate(asked)}  # warms up
        reading, other = run(1), run(_SOME)
    finally:
        engine._step = own
    differ = sum(found[key] != ids for key, ids in expected.items())
    part.record(
        title,
        answer_tokens=_SOME,
        seconds=round(other, 3),
        step_milliseconds=step_milliseconds(other - reading, _SOME - 1),
        vs_own_steps=round(other / spent, 2),
        answers_that_differ=differ,
        of_answers=len(expected),
    )


def _kernels(part: SpeedPart, title: str) -> None:
    """What the device does for a few tokens: reading prompts, and steps."""
    engine, answer = part.work.batched, _SOME + 1
    for name, tokens in (("reading", 1), ("steps", answer)):
        asked = part.asked("contrastive", tokens)
        found = kernels(lambda asked=asked: list(engine.generate(asked)), engine.device)  # type: ignore[misc]
        part.record(title, **{name: found, f"{name}_answer_tokens": tokens})


def step_milliseconds(seconds: float, steps: int) -> float | None:
    """Of a step; None where none was timed, or where a busy machine hid what steps took."""
    return round(1000 * seconds / steps, 3) if steps and seconds > 0 else None


def _seconds(part: SpeedPart, operation: str, answer: int) -> float:
    engine, asked = part.work.batched, part.asked(operation, answer)
    return timing.seconds(lambda: list(engine.generate(asked)), engine.device)


def _mixed(part: SpeedPart) -> None:
    """Ratios to PEFT's mixed batches, which first load all users' adapters.

    On an H200 that was not seen to end at the shape of a model of 7B; the part would time out.
    """
    work, users = part.work, part.sizes.decoded
    if part.on_cuda and part.clock.left < _LOADING:
        part.record("peft_mixed", not_run=f"{part.clock.left:.0f} s were left")
        return
    mixed = PeftMixed(work.reference, work.tam, [work.user(i) for i in range(users)])
    for number, operation in enumerate(_ORDER):
        allowed = part.clock.left / (len(_ORDER) - number)
        part.attempt(operation, partial(_compare, part, operation, "peft_mixed", mixed, allowed))


def _compare(
    part: SpeedPart, operation: str, peer: str, mixed: PeftMixed | None, allowed: float
) -> None:
    """Compare with short answers, then with the longest for which there is time."""
    rounds = part.sizes.rounds
    each = _round(part, mixed, operation, peer, _FEW, 1) / _FEW
    answer = largest(part.sizes.lengths[1], rounds * each, allowed - _FEW * each)
    if answer > _FEW:
        _round(part, mixed, operation, peer, answer, rounds)


def _round(
    part: SpeedPart, mixed: PeftMixed | None, operation: str, peer: str, answer: int, rounds: int
) -> float:
    """Record one comparison; returns the seconds of a round."""
    users, lengths = part.sizes.decoded, (part.sizes.lengths[0], answer)
    found = decoding.compare(part.work, operation, lengths, users, rounds, 1, mixed, [peer])
    part.record(
        operation,
        **{
            f"vs_{peer}": found[f"vs_{peer}"],
            f"answers_that_differ_from_{peer}": found["answers_that_differ"][peer],
            f"answer_tokens_beside_{peer}": answer,
            f"rounds_beside_{peer}": rounds,
        },
    )
    counted = 1 / users if peer == "reference" else 1.0
    return float(found["seconds"] * (1 + counted * found[f"vs_{peer}"]["median"]))


if __name__ == "__main__":
    main()
