"""The engine of trials: its answers are digests of requests."""

from lampbench.contract.echo_engine import EchoEngine
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec


def test_the_budget_ends_some_answers_and_not_others():
    spec = GenerationSpec(max_new_tokens=8)
    prompts = [Prompt("", (Piece(f"text {i}"),)) for i in range(40)]
    asked = [GenerateRequest(str(i), prompt, (), spec) for i, prompt in enumerate(prompts)]
    found = list(EchoEngine("none").generate(asked))
    assert {one.truncated for one in found} == {True, False}
    assert all((len(one.token_ids) == 8) == one.truncated for one in found)
