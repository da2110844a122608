"""Decoding at one model's shape: ours alone first, then beside the peers."""

import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

from benchmarks import decoding, roofline, timing
from benchmarks.gpu.sizes import SpeedPart, largest, reset_peak, speed_part
from benchmarks.peft_mixed import PeftMixed
from benchmarks.workloads import words
from lampbench.engine.batched import step_shape

_ORDER = ("contrastive", "greedy", "sample")
_FEW = 4  # tokens from which the time of more is foretold
_RUNS = 4  # of an operation: one as it comes, three for the comparison with static steps
_MANY_LENGTHS = "contrastive, prompts of many lengths"
_STATIC = {True: "graph", False: "static"}  # without CUDA, the same steps without a graph


def main() -> None:
    """Measure decoding; exit code 1 if something went wrong."""
    with tempfile.TemporaryDirectory() as home:
        part = speed_part(Path(home), main.__doc__)
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / 3 / (len(_ORDER) - number) / _RUNS
            part.attempt(operation, partial(_alone, part, operation, share))
            title = f"{operation}, {_STATIC[part.on_cuda]} steps"
            part.attempt(title, partial(_static, part, operation, title))
        part.attempt(_MANY_LENGTHS, partial(_many_lengths, part))
        part.attempt("peers", partial(_peers, part))
        if part.errors:
            sys.exit("\n".join(part.errors))


def _alone(part: SpeedPart, operation: str, allowed: float) -> None:
    """Ours, with no peer in the device's memory: speed, memory and share of the roofline."""
    run = partial(_seconds, part, operation)
    run(2)  # warms up
    answer = largest(part.sizes.lengths[1], run(_FEW) / _FEW, allowed)
    _record_speed(part, operation, operation, answer)


def _static(part: SpeedPart, operation: str, title: str) -> None:
    """The same with static steps, which a GPU replays as a CUDA graph; answers are compared.

    The time includes that of recording the graphs.
    """
    engine = part.work.batched
    if "answer_tokens" not in part.page.get(operation, {}):
        return  # ours has failed already
    answer = part.page[operation]["answer_tokens"]
    asked = part.asked(operation, answer)
    exact = {(c.id, c.sample): c.token_ids for c in engine.generate(asked)}
    engine._step = _STATIC[part.on_cuda]
    try:
        found = {(c.id, c.sample): c.token_ids for c in engine.generate(asked)}  # warms up
        _record_speed(part, operation, title, answer)
    finally:
        engine._step = "exact"
    differ = sum(found[key] != ids for key, ids in exact.items())
    before = part.page[operation]["seconds"]
    part.record(
        title,
        answers_that_differ=differ,
        of_answers=len(exact),
        vs_exact_steps=round(before / part.page[title]["seconds"], 2),
    )


def _many_lengths(part: SpeedPart) -> None:
    """What groups of rows gain, of which each attends to its own longest row."""
    engine, longest = part.work.batched, part.sizes.lengths[0]
    answer = part.page["contrastive"].get("answer_tokens", _FEW)
    asked = [
        replace(request, prompt=words(longest * (30 + 70 * number % 71) // 100, number))
        for number, request in enumerate(part.asked("contrastive", answer))
    ]
    spent = {}
    for name, groups in (("one_group", 1), ("groups", step_shape.GROUPS)):
        with mock.patch.object(step_shape, "GROUPS", groups):
            list(engine.generate(part.asked("contrastive", 2)))  # warms up
            spent[name] = timing.seconds(lambda: list(engine.generate(asked)), engine.device)
    part.record(
        _MANY_LENGTHS,
        one_group_seconds=round(spent["one_group"], 3),
        seconds=round(spent["groups"], 3),
        vs_one_group=round(spent["one_group"] / spent["groups"], 2),
    )


def _record_speed(part: SpeedPart, operation: str, title: str, answer: int) -> None:
    """Measure answers of `answer` tokens each, once, and record the speed under a title."""
    work, users = part.work, part.sizes.decoded
    engine = work.batched
    reset_peak(engine.device)
    spent = _seconds(part, operation, answer)
    prompt = part.asked(operation, 1)[0].prompt
    read = len(engine._encoder.encode_prompt("", prompt, 10**6).ids)
    samples = 3 if operation == "sample" else 1
    part.record(
        title,
        users=users,
        prompt_tokens=read,
        answer_tokens=answer,
        seconds=round(spent, 3),
        tokens_per_second=round(users * samples * answer / spent),
        of_roofline=roofline.share(work, operation, users, read, answer, spent),
        peak_bytes=timing.peak_memory(engine.device),
    )


def _seconds(part: SpeedPart, operation: str, answer: int) -> float:
    engine, asked = part.work.batched, part.asked(operation, answer)
    return timing.seconds(lambda: list(engine.generate(asked)), engine.device)


def _peers(part: SpeedPart) -> None:
    """Ratios to the reference engine and to PEFT's mixed batches."""
    work, users = part.work, part.sizes.decoded
    mixed = PeftMixed(work.reference, work.tam, [work.user(i) for i in range(users)])
    for number, operation in enumerate(_ORDER):
        allowed = part.clock.left / (len(_ORDER) - number)
        part.attempt(operation, partial(_compare, part, mixed, operation, allowed))


def _compare(part: SpeedPart, mixed: PeftMixed, operation: str, allowed: float) -> None:
    """Compare with short answers, then with the longest for which there is time."""
    rounds = part.sizes.rounds
    each = _round(part, mixed, operation, _FEW, 1) / _FEW
    answer = largest(part.sizes.lengths[1], rounds * each, allowed - _FEW * each)
    if answer > _FEW:
        _round(part, mixed, operation, answer, rounds)


def _round(part: SpeedPart, mixed: PeftMixed, operation: str, answer: int, rounds: int) -> float:
    """Record one comparison; returns the seconds of a round."""
    users, lengths = part.sizes.decoded, (part.sizes.lengths[0], answer)
    found = decoding.compare(part.work, operation, lengths, users, rounds, alone=1, mixed=mixed)
    part.record(
        operation,
        vs_reference=found["vs_reference"],
        vs_peft_mixed=found["vs_peft_mixed"],
        answers_that_differ=found["answers_that_differ"],
        compared_answer_tokens=answer,
        rounds=rounds,
        peak_bytes_with_peers=found["peak_bytes"],
    )
    peers = found["vs_reference"]["median"] / users + found["vs_peft_mixed"]["median"]
    return float(found["seconds"] * (1 + peers))


if __name__ == "__main__":
    main()
