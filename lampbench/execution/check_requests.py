"""Checks that what a plugin asks of an engine is of the types that engines take."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lampbench.core.prompt import Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, ScoreRequest
from lampbench.plugin.fault import place_of_function
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError

Q = TypeVar("Q", bound=GenerateRequest | ScoreRequest)


def checked_requests(method: Method, user: str, requests: Iterable[Q]) -> Sequence[Q]:
    """The requests, if they are some; also those of a generator, which can be read only once.

    Raises:
        LampbenchError: a prompt, a specification or weights are something else.
    """
    found = list(requests)
    for request in found:
        for name, value, kind, maker in _expected(method, request):
            if not isinstance(value, kind):
                raise LampbenchError(
                    f"method {method.name} asks for user {user!r} with {name} = {value!r:.80}, "
                    f"which is not a {kind.__name__}; fix {_maker(maker)}"
                )
    return found


def _expected(
    method: Method, request: GenerateRequest | ScoreRequest
) -> Iterator[tuple[str, Any, type, tuple[object, str] | None]]:
    """Name, value and type of each field, and the part and function that most likely made it."""
    yield "prompt", request.prompt, Prompt, (method.prompting, "render")
    yield "weights", request.weights, tuple, (method.adaptation, "weights")
    if isinstance(request, GenerateRequest):
        yield "spec", request.spec, GenerationSpec, (method.decoding, "spec")
    else:
        yield "response", request.response, str, None


def _maker(maker: tuple[object, str] | None) -> str:
    if maker is None:
        return "the ScoreRequest"
    part, name = maker
    function = getattr(type(part), name, None)
    place = f" at {place_of_function(function)}" if function else ""
    return f"{name}() of {type(part).__name__}{place}"
