"""Arguments of engines: their types, and what is refused."""

import pytest

from lampbench.engine.engine_argument import (
    EngineArgument,
    engine_arguments,
    parse_engine_arguments,
)
from lampbench.util.errors import LampbenchError

DECLARED = (
    EngineArgument("url", str, "address", keyed=False),
    EngineArgument("slots", int, "adapters at once", default=4, low=1),
    EngineArgument("share", float, "of the memory", default=0.5),
    EngineArgument("eager", bool, "no graphs", default=False),
    EngineArgument("kind", str, "which", default="a", choices=("a", "b")),
)


def test_text_stands_for_other_types_and_defaults_fill_in():
    given = parse_engine_arguments(["slots=8", "share=1", "eager=true", "url=http://x/?a=b"])
    found = engine_arguments("mine", DECLARED, given)
    assert found == {"url": "http://x/?a=b", "slots": 8, "share": 1.0, "eager": True, "kind": "a"}
    assert engine_arguments("mine", DECLARED, {"slots": 2, "eager": False})["slots"] == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"slot": "8"}, "engine mine has no argument 'slot' .*did you mean slots"),
        ({"slots": "8.5"}, "slots=8.5 of engine mine: give a whole number"),
        ({"slots": True}, "give a whole number"),
        ({"slots": "0"}, "give at least 1"),
        ({"share": "nan"}, "give a number"),
        ({"eager": "maybe"}, "give true or false"),
        ({"kind": "c"}, "choose one of a, b"),
        ({"url": ""}, "give a text"),
    ],
)
def test_what_is_not_valid_is_refused(given, said):
    with pytest.raises(LampbenchError, match=said):
        engine_arguments("mine", DECLARED, given)


def test_a_key_is_given_once():
    with pytest.raises(LampbenchError, match="slots is both 1 and 2"):
        parse_engine_arguments(["slots=1", "slots=2"])
