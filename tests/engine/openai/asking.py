"""Requests to an API engine, and what came of them."""

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec
from lampbench.util.errors import LampbenchError
from tests.shared.api_server import Answer, completion


def request(name="q", text="Write a title.", system="Be brief.", spec=None, **given):
    spec = spec or GenerationSpec(max_new_tokens=16)
    return GenerateRequest(name, Prompt(system, (Piece(text),)), (), spec, **given)


def many(count=6, **given):
    return [request(f"q{n}", f"Write title {n}.", **given) for n in range(count)]


def answers(engine, requests):
    """What was received, by request, and the error at the end."""
    found, error = {}, None
    try:
        for one in engine.generate(requests):
            found[one.id, one.sample] = one
    except LampbenchError as caught:
        error = caught
        assert "\n" not in str(caught)
    return found, error


def refusal(engine, requests=None):
    found, error = answers(engine, requests or [request()])
    assert error is not None and not found
    return str(error)


def one_of(*numbers, **changes):
    """A behaviour that changes the answers to some questions."""
    return lambda body, number: (
        Answer(completion(body, **changes))
        if any(f"title {n}." in body["messages"][-1]["content"] for n in numbers)
        else None
    )
