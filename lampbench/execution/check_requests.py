"""Checks that what a plugin asks of an engine is of the types that engines take."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lampbench.core.prompt import Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, ScoreRequest
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
        for name, value, kind, hint in _expected(method, request):
            if not isinstance(value, kind):
                raise LampbenchError(
                    f"method {method.name} asks for user {user!r} with {name} = {value!r:.80}, "
                    f"which is not a {kind.__name__}; fix {hint}"
                )
    return found


def _expected(
    method: Method, request: GenerateRequest | ScoreRequest
) -> Iterator[tuple[str, Any, type, str]]:
    """Name, value and type of each field, and what most likely made it."""
    yield "prompt", request.prompt, Prompt, f"render() of {type(method.prompting).__name__}"
    yield "weights", request.weights, tuple, f"weights() of {type(method.adaptation).__name__}"
    if isinstance(request, GenerateRequest):
        yield "spec", request.spec, GenerationSpec, f"spec() of {type(method.decoding).__name__}"
    else:
        yield "response", request.response, str, "the ScoreRequest"
