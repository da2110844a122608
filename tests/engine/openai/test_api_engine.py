"""What the API engine asks of a server, and what it makes of the answers."""

import threading
import time

import pytest

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import (
    Contrast,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.util.errors import LampbenchError
from tests.engine.openai.asking import answers, many, refusal, request
from tests.shared.api_server import MODEL, Answer, completion


def test_a_greedy_request(api_server, engine):
    (found,) = engine().generate([request(seed=3)])
    assert api_server.bodies == [
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Write a title."},
            ],
            "max_tokens": 16,
            "temperature": 0,
        }
    ]
    assert found.text.startswith("answer ") and not found.truncated
    assert (found.prompt_tokens, found.new_tokens, found.token_ids) == (10, 3, ())
    assert (found.served.model, found.served.fingerprint) == (MODEL, "fp_1")


def test_without_a_system_instruction_there_is_no_such_message(api_server, engine):
    list(engine().generate([request(system="")]))
    assert [one["role"] for one in api_server.bodies[0]["messages"]] == ["user"]


def test_samples_are_asked_one_by_one_with_seeds_of_their_own(api_server, engine):
    spec = GenerationSpec(16, sampling=Sampling(0.7, 0.9))
    three, _ = answers(engine(), [request(spec=spec, samples=3, seed=5)])
    again, _ = answers(engine(), [request(spec=spec, samples=2, seed=5)])
    assert len({one.text for one in three.values()}) == 3
    assert {again[key].text == three[key].text for key in again} == {True}
    for body in api_server.bodies:
        assert (body["temperature"], body["top_p"], "n" in body) == (0.7, 0.9, False)


def test_further_fields_go_into_every_request_and_a_seed_can_be_left_out(api_server, engine):
    spec = GenerationSpec(16, sampling=Sampling(0.7, 0.9))
    fields = {"seed": None, "reasoning_effort": "low"}
    list(engine(fields=fields).generate([request(spec=spec)]))
    (body,) = api_server.bodies
    assert body["reasoning_effort"] == "low" and "seed" not in body


@pytest.mark.parametrize(
    ("spec", "given", "what"),
    [
        (GenerationSpec(16, repetition_penalty=1.2), {}, "repetition penalty"),
        (GenerationSpec(16, contrast=Contrast((), 0.1, 0.1)), {}, "contrastive decoding"),
        (GenerationSpec(16, min_new_tokens=2), {}, "min_new_tokens"),
        (GenerationSpec(16), {"teacher_text": "so"}, "teacher forcing"),
        (GenerationSpec(16), {"generation_prompt": False}, "user's turn"),
    ],
)
def test_nothing_is_asked_of_the_api_that_it_does_not_have(api_server, engine, spec, given, what):
    assert what in refusal(engine(), [request(spec=spec, **given)])
    assert not api_server.seen


def test_requests_are_sent_together_but_never_more_than_allowed(api_server, engine):
    api_server.behaviour = lambda body, number: Answer(completion(body), delay=0.05)
    found, error = answers(engine(concurrency=3), many(12))
    assert len(found) == 12 and error is None
    assert 1 < api_server.most_at_once <= 3


def test_the_key_is_sent_and_never_told(api_server, engine, said, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    list(engine().generate([request()]))
    assert api_server.seen[0][1]["authorization"] == "Bearer sk-secret"
    wrong = {"error": {"message": "Incorrect API key provided: sk-secret."}}
    api_server.behaviour = lambda body, number: Answer(wrong, 401)
    told = refusal(engine())
    assert "LAMPBENCH_API_KEY is refused" in told and "401" in told
    assert "sk-secret" not in told + "".join(said)


def test_a_key_that_the_server_repeats_in_an_answer_is_taken_out(api_server, engine, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    api_server.behaviour = lambda body, number: Answer(
        completion(body, "sk-secret!", model=f"sk-secret/{MODEL}", system_fingerprint="sk-secret")
    )
    (found,) = engine().generate([request()])
    assert "sk-secret" not in repr(found)
    assert found.text == "[key]!"


def test_a_server_that_wants_a_key_where_there_is_none(api_server, engine):
    api_server.behaviour = lambda body, number: Answer({"error": "no"}, 401)
    assert "no key was sent; set LAMPBENCH_API_KEY" in refusal(engine())
    assert len(api_server.seen) == 1


def test_the_newer_name_of_the_budget_is_used_where_it_is_asked_for(api_server, engine):
    text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def newer(body, number):
        return Answer({"error": {"message": text}}, 400) if "max_tokens" in body else None

    api_server.behaviour = newer
    found, error = answers(engine(concurrency=1), many(3))
    assert len(found) == 3 and error is None
    assert [body.get("max_completion_tokens") for body in api_server.bodies] == [None, 16, 16, 16]
    api_server.behaviour = lambda body, number: Answer({"error": {"message": text}}, 400)
    assert "max_completion_tokens" in refusal(engine())


def test_a_prompt_that_the_server_cut_is_refused(api_server, engine):
    cut = {"prompt_tokens": 500, "completion_tokens": 3}
    api_server.behaviour = lambda body, number: Answer(completion(body, usage=cut))
    assert "cuts long prompts" in refusal(engine(), [request(text="many words " * 1_000)])


def test_an_interruption_waits_for_no_request(api_server, engine):
    def hanging(body, number):
        return None if number == 0 else Answer({}, delay=30)

    api_server.behaviour = hanging
    results = engine(timeout=30, concurrency=3).generate(many(5))
    next(results)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 20
    assert all(thread.daemon for thread in threading.enumerate()
               if thread.name.startswith("Thread-"))  # fmt: skip


def test_nothing_is_trained_or_combined(engine):
    with pytest.raises(LampbenchError, match="behind an API"):
        engine().train([], print)
    with pytest.raises(LampbenchError, match="behind an API"):
        engine().combine(None)


def test_a_server_without_log_probabilities_scores_nothing(api_server, engine):
    prompt = Prompt("Be brief.", (Piece("Write a title."),))
    with pytest.raises(LampbenchError, match="no log-probabilities of a prompt"):
        list(engine().score([ScoreRequest("q", prompt, "A title", ())]))
    assert len(api_server.seen) == 1
