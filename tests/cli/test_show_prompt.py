"""`lampbench show prompt`: what the model reads, before and after anything was made."""

import json
from pathlib import Path

import pytest

import lampbench
from lampbench.contract.tiny_model import save_tiny_model

TWO_PASSES = """
from dataclasses import replace
from lampbench.plugin import Method, Piece, Prediction, register_method

@register_method("twice")
class Twice(Method):
    def predict(self, context, users):
        first = [(user, self.requests(context, user)) for user in users]
        for user, drafts in context.answer(first):
            again = [replace(one, prompt=one.prompt.before(Piece("Again: ")))
                     for one in self.requests(context, user)]
            for _, answers in context.answer([(user, again)]):
                for query, (answer,) in zip(user.queries, answers, strict=True):
                    yield Prediction.of(user, query, answer)

@register_method("echo")
class Echo(Method):
    def predict(self, context, users):
        for user in users:
            for query in user.queries:
                yield Prediction(user.id, query.id, "the same")

@register_method("faulty")
class Faulty(Method):
    def predict(self, context, users):
        yield users[0].nothing
"""


@pytest.fixture
def shown(call):
    """A function that shows the prompts of a method as JSON, and the error where there is one."""

    def show(method, *arguments):
        code, out, err = call(
            "show", "prompt", method, "--task", "news_headline", "--format", "json", *arguments
        )
        assert bool(code) == bool(err) and code in (0, 2)
        return err or json.loads(out)["prompts"]

    return show


def test_what_is_shown_is_what_the_engine_reads(shown, capsys, tmp_path):
    model = str(save_tiny_model(tmp_path / "tiny"))  # prompts are too long for its context
    settings = ["decoding.max_new_tokens=2", "prompting.k=9"]
    run = lampbench.run("cad", "news_headline", users=1, model=model, assignments=settings)
    capsys.readouterr()
    given = [word for setting in settings for word in ("--set", setting)]
    for row in run.predictions[:2]:
        own, plain = shown("cad", "--model", model, "--users", "1", "--query", row.query, *given)
        assert own["tokens"] == row.prompt_tokens and own["dropped"] > 0
        assert own["dropped"] + plain["dropped"] == row.prompt_tokens_dropped
        assert (own["user"], own["query"], own["weights"]) == (row.user, row.query, [])


def test_every_side_is_shown_and_nothing_is_made(call, shown):
    own, task = shown("cope")
    assert own["text"] == task["text"] and own["text"].startswith("<|bos|><|system|>You are a ")
    assert own["text"].endswith("headline:<|assistant|>")
    assert own["weights"] == ["task_sft", "user_dpo"] and task["weights"] == ["task_sft"]
    assert [(one["request"], one["side"]) for one in (own, task)] == [(1, 1), (1, 2)]
    assert not list(Path(".lampbench").rglob("user_*"))
    code, out, _ = call("show", "prompt", "cope", "--task", "news_headline")
    assert code == 0 and out.count(own["text"]) == 1
    assert f"side 1, read by task_sft + user_dpo: {own['tokens']} tokens" in out
    assert f"side 2, read by task_sft: {own['tokens']} tokens\n  as side 1\n" in out


def test_the_chat_template_is_the_one_asked_for(shown):
    (own,), (paper,) = shown("base"), shown("base", "--chat-template", "mistral")
    assert "[INST]" in paper["text"] and "[INST]" not in own["text"]


def test_a_profile_is_shown_once_a_run_has_made_it(shown, small_run):
    error = shown("pag", "--users", "2")
    assert error.count("\n") == 1
    assert "the prompts of pag need the profile of user" in error
    assert "run the same options with `lampbench run` first" in error
    small_run("--method", "pag")
    (prompt,) = shown("pag", "--users", "2")
    assert "article: " in prompt["text"]


def test_a_user_and_a_query_are_chosen_by_id(shown):
    (first,) = shown("base", "--users", "2")
    run = lampbench.plan("base", "news_headline", users=2)[0].spec.dataset
    user = next(one for one in run.test_users if one.id != first["user"])
    asked = user.queries[-1].id
    for whose in (("--user", user.id), ()):
        (prompt,) = shown("base", "--users", "2", *whose, "--query", asked)
        assert (prompt["user"], prompt["query"]) == (user.id, asked)
    (prompt,) = shown("base", "--users", "2", "--user", user.id)
    assert prompt["query"] == user.queries[0].id
    for given, error in [
        (("--user", first["user"], "--query", asked), "of test user"),
        (("--user", "nobody at all"), "no test user 'nobody at all'"),
        (("--user", first["user"] + "x"), f"did you mean {first['user']}?"),
        (("--query", "nothing"), "no query 'nothing' of the test users"),
    ]:
        said = shown("base", "--users", "2", *given)
        assert isinstance(said, str) and said.count("\n") == 1 and error in said


def test_of_a_predict_of_its_own_the_first_question_is_shown(shown, tmp_path):
    file = tmp_path / "twice.py"
    file.write_text(TWO_PASSES)
    (prompt,) = shown("twice", "--plugins", str(file))
    assert "Again: " not in prompt["text"]
    assert "method echo asks no model" in shown("echo", "--plugins", str(file))
    said = shown("faulty", "--plugins", str(file))
    assert said.count("\n") == 1 and "method faulty failed in" in said and "twice.py:" in said


def test_python_shows_the_same_of_a_class(shown):
    (prompt,) = shown("rag")
    (found,) = lampbench.show_prompt("rag", "news_headline")
    assert (found.text, found.tokens) == (prompt["text"], prompt["tokens"])
