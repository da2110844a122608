"""Answers that an API withholds, cuts or never gives: the others are kept."""

import pytest

from tests.engine.openai.asking import answers, many, one_of
from tests.shared.api_server import Answer


@pytest.mark.parametrize(
    "changes",
    [{"text": ""}, {"_finish_reason": "content_filter"},
     {"_message": {"content": None, "refusal": "I cannot do that"}}],
)  # fmt: skip
def test_an_answer_that_is_withheld_is_told_when_all_others_are_there(
    api_server, engine, said, changes
):
    api_server.behaviour = one_of(2, 4, **changes)
    found, error = answers(engine(), many())
    assert {name for name, _ in found} == {"q0", "q1", "q3", "q5"}
    assert "no answer to 2 of 6 requests" in str(error) and "withheld=record" in str(error)
    assert sorted(line.split(":")[0] for line in said) == ["no answer to q2", "no answer to q4"]


def test_an_empty_answer_is_recorded_only_where_that_was_asked_for(api_server, engine, said):
    api_server.behaviour = one_of(2, text="")
    found, error = answers(engine(withheld="record"), many())
    assert error is None and len(found) == 6
    assert (found["q2", 0].text, found["q2", 0].served.withheld) == ("", "empty")
    assert found["q1", 0].served.withheld == "" and len(said) == 1


def test_a_prompt_that_is_filtered_is_an_answer_that_is_withheld(api_server, engine):
    refused = {"error": {"message": "The response was filtered", "code": "content_filter"}}

    def some(body, number):
        filtered = "title 3." in body["messages"][-1]["content"]
        return Answer(refused, 400) if filtered else None

    api_server.behaviour = some
    found, error = answers(engine(), many())
    assert len(found) == 5 and "no answer to 1 of 6" in str(error)


def test_an_answer_cut_by_its_budget_is_truncated(api_server, engine):
    api_server.behaviour = one_of(1, _finish_reason="length", usage=None)
    found, _ = answers(engine(), many(2))
    assert [found[f"q{n}", 0].truncated for n in (0, 1)] == [False, True]


def test_what_was_answered_before_an_error_is_kept(api_server, engine):
    def later(body, number):
        return Answer({"error": "revoked"}, 403) if number == 4 else None

    api_server.behaviour = later
    found, error = answers(engine(concurrency=2), many(20))
    assert "403" in str(error)
    assert len(found) == len(api_server.seen) - 1 >= 4
