"""The table with which the run ends."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu.part import Outcome


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line per part, and below it one per measurement."""
    lines = [f"{'part':<32}{'state':<11}{'seconds':>8}"]
    for each in outcomes:
        lines.append(f"{each.part:<32}{each.state:<11}{each.seconds:>8.0f}")
        lines += [f"    {line}" for line in _details(each)]
        if each.state != "passed" and each.error:
            lines.append(f"    {each.error.splitlines()[-1][:110]}")
    return "\n".join(lines)


def _details(outcome: Outcome) -> Iterator[str]:
    found = outcome.results
    if not isinstance(found, dict):
        return
    measured = {title: values for title, values in found.items() if isinstance(values, dict)}
    if outcome.part.startswith(("decoding", "training")):
        yield from (f"{title}: {_speed(values)}" for title, values in measured.items())
    elif outcome.part == "equality":
        yield ", ".join(f"{found[name]} {name}" for name in ("passed", "failed", "skipped"))
        yield from (f"failed: {name}" for name in found["failures"])
    else:
        plain = {name: value for name, value in found.items() if name not in measured}
        yield ", ".join(f"{name} {value}" for name, value in plain.items())


def _speed(values: Mapping[str, Any]) -> str:
    """The numbers of one measurement, as far as it came."""
    told = []
    for name, unit in (("tokens_per_second", "tokens/s"), ("examples_per_second", "examples/s")):
        if name in values:
            told.append(f"{values[name]} {unit}")
    for name, peer in (
        ("vs_reference", "the reference loop"),
        ("vs_peft_mixed", "PEFT's mixed batches"),
        ("vs_ours_alone", "one user at a time"),
    ):
        if name in values:
            told.append(f"{values[name]['median']} x {peer}")
    if "vs_own_steps" in values:
        told.append(f"{values['vs_own_steps']} x the time of the default steps")
    if values.get("step_milliseconds"):
        told.append(f"{values['step_milliseconds']} ms a step")
    if "of_roofline" in values:
        told.append(f"{values['of_roofline']:.2f} of the roofline")
    if "steps_of_roofline" in values:
        told.append(f"reading {values['reading_of_roofline']:.2f}")
    if values.get("steps_of_roofline"):
        told.append(f"steps {values['steps_of_roofline']:.2f}")
    if values.get("peak_bytes"):
        told.append(f"{values['peak_bytes'] / 2**30:.1f} GiB")
    if "error" in values:
        told.append(f"error: {values['error'].splitlines()[0][:80]}")
    return ", ".join(told)
