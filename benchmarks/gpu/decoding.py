"""Decoding at one model's shape: ours alone first, then beside the peers."""

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import decoding, roofline, timing
from benchmarks.gpu.sizes import SpeedPart, largest, reset_peak, speed_part
from benchmarks.peft_mixed import PeftMixed

_ORDER = ("contrastive", "greedy", "sample")
_FEW = 4  # tokens from which the time of more is foretold


def main() -> None:
    """Measure decoding; exit code 1 if something went wrong."""
    with tempfile.TemporaryDirectory() as home:
        part = speed_part(Path(home), main.__doc__)
        for number, operation in enumerate(_ORDER):
            share = part.clock.left / 3 / (len(_ORDER) - number)
            part.attempt(operation, partial(_alone, part, operation, share))
        part.attempt("peers", partial(_peers, part))
        if part.errors:
            sys.exit("\n".join(part.errors))


def _alone(part: SpeedPart, operation: str, allowed: float) -> None:
    """Ours, with no peer in the device's memory: speed, memory and share of the roofline."""
    work, sizes = part.work, part.sizes
    engine = work.batched
    prompt, most = sizes.lengths

    def run(answer: int) -> float:
        asked = work.requests(operation, prompt, answer, sizes.decoded)
        return timing.seconds(lambda: list(engine.generate(asked)), engine.device)

    run(2)  # warms up
    answer = largest(most, run(_FEW) / _FEW, allowed)
    reset_peak(engine.device)
    spent = run(answer)
    read = len(engine._encoder.encode_prompt("", work.requests(operation, prompt, 1, 1)[0].prompt,
                                             10**6).ids)  # fmt: skip
    samples = 3 if operation == "sample" else 1
    part.record(
        operation,
        users=sizes.decoded,
        prompt_tokens=read,
        answer_tokens=answer,
        seconds=round(spent, 3),
        tokens_per_second=round(sizes.decoded * samples * answer / spent),
        of_roofline=roofline.share(work, operation, sizes.decoded, read, answer, spent),
        peak_bytes=timing.peak_memory(engine.device),
    )


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
