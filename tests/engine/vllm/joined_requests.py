"""Requests to a server that is joined."""

from lampbench.engine.protocol import GenerateRequest, GenerationSpec
from tests.engine.engine_inputs import prompt

GREEDY = GenerationSpec(8)


def requests(*stacks, spec=GREEDY, **options):
    return [GenerateRequest(f"q{n}", prompt(n), stack, spec, **options)
            for n, stack in enumerate(stacks)]  # fmt: skip
