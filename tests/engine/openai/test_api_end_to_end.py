"""`lampbench run --engine openai` from the command to the tables, and against a bad server."""

import json
import re
from pathlib import Path

import pytest

import lampbench
from lampbench.engine.openai import persistent_request
from lampbench.util.errors import LampbenchError, OutOfBudget
from tests.shared.api_server import MODEL, Answer, completion

QUERIES = 16  # of two users of the bundled headlines


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(persistent_request, "backoff", lambda failures: 0.01)


@pytest.fixture
def run(call, api_server):
    """`lampbench run` on two bundled users with the model behind the local server."""
    return lambda *arguments: call(
        "run", "--engine", "openai", "--api-base", api_server.base, "--model", MODEL,
        "--task", "news_headline", "--users", "2", *arguments
    )  # fmt: skip


def manifests(name="*"):
    found = sorted(Path("results").glob(f"news_headline/*/{name}/*/manifest.json"))
    return [json.loads(file.read_text()) for file in found]


def test_the_ways_to_prompt_run_and_are_in_the_tables(run, call, api_server):
    methods = [word for name in ("base", "rag", "pag") for word in ("--method", name)]
    code, out, err = run(*methods, "--price", "2,10")
    assert code == 0, err
    assert "behind an API" in out
    base, pag, rag = manifests()
    for made in (base, pag, rag):
        details, service = made["model_details"], made["service"]
        assert (made["model"], made["preset"], details["engine"]) == (MODEL, "api", "openai")
        assert details["engine_identity"]["server"] == api_server.base.removeprefix("http://")
        assert (service["models"], set(service["fingerprints"])) == (
            {MODEL: service["answers"]}, {"fp_1"},
        )  # fmt: skip
        costs = [2e-6 * one["prompt_tokens"] + 10e-6 * one["new_tokens"] for one in made["stages"]]
        assert service["cost"] == pytest.approx(sum(costs), abs=1e-6) and all(costs)
        assert made["hyperparameters"]["decoding.repetition_penalty"]["value"] == 1.0
    assert base["service"]["answers"] == QUERIES < pag["service"]["answers"]
    assert len(api_server.seen) == 3 * QUERIES + 2  # a profile for each user
    profile = next(body for body in api_server.bodies if "seed" in body)
    assert (profile["temperature"], profile["top_p"]) == (0.6, 0.9)
    code, out, err = call("table", "main")
    assert code == 0 and "| RAG" in out and MODEL in out, err
    code, out, err = call("leaderboard", "--output", "board.md")
    assert code == 0, err
    again = len(api_server.seen)
    assert run(*methods)[0] == 0 and len(api_server.seen) == again


def test_what_an_api_cannot_do_is_refused_before_anything_is_asked(run, api_server):
    for arguments, told in (
        (("--method", "cope"), "fine-tune"),
        (("--method", "cad"), "contrastively"),
        (("--method", "base", "--set", "decoding.repetition_penalty=1.2"), "repetition penalty"),
        (("--method", "base", "--device", "cuda"), "--device does nothing with --engine openai"),
        (("--method", "base", "--dtype", "float32"), "--dtype does nothing"),
        (("--method", "base", "--chat-template", "qwen"), "--chat-template does nothing"),
        (("--method", "base", "--fidelity", "reference", "--preset", "api"), "--fidelity"),
        (("--method", "base", "--price", "1"), "two numbers"),
        (("--method", "base", "--max-cost", "1"), "prices"),
        (("--method", "base", "--engine-arg", "fields=[]"), "JSON object"),
        (("--method", "base", "--engine-arg", "key_variable=NOT_SET"), "NOT_SET holds no key"),
        (("--method", "base", "--engine-arg", "api_base=http://x.org"), "give one"),
    ):
        code, _, err = run(*arguments, "--dry-run")
        assert code == 2 and told in err and len(err.splitlines()) == 1, (arguments, err)
    assert not api_server.seen and not Path("results").exists()


def test_a_dry_run_says_what_it_may_cost(run, api_server):
    code, out, err = run("--method", "pag", "--dry-run", "--price", "2,10")
    assert code == 0, err
    assert re.search(r"about 0\.\d+ at --price", out) and not api_server.seen
    assert "--price" not in run("--method", "pag", "--dry-run")[1]


def test_a_recorded_run_needs_no_server(run, api_server):
    assert run("--method", "base")[0] == 0
    api_server.list_models = lambda request: api_server._write(request, Answer({}, 401))
    code, _, err = run("--method", "base")
    assert code == 0 and "already recorded" in err
    for option, value in (("--device", "cpu"), ("--batch-size", "2")):
        code, _, err = run("--method", "base", option, value)
        assert code == 2 and f"{option} does nothing with --engine openai" in err


@pytest.mark.parametrize("several", [("--workers", "2"), ("--shard", "0/2")])
def test_one_process_keeps_the_account(run, api_server, several):
    code, _, err = run("--method", "base", *several, "--max-total-tokens", "1000")
    assert code == 2 and "one process asks it for all users" in err
    assert not api_server.seen


def test_an_address_without_the_engine_and_the_engine_without_an_address(call):
    some = ("run", "--method", "base", "--task", "news_headline", "--model", MODEL)
    code, _, err = call(*some, "--api-base", "http://localhost:1/v1")
    assert code == 2 and "add --engine openai" in err
    code, _, err = call(*some, "--engine", "openai")
    assert code == 2 and "with --api-base" in err


def test_a_server_that_is_not_there_is_told_by_the_plan(call):
    code, _, err = call(
        "run", "--engine", "openai", "--api-base", "http://127.0.0.1:9/v1", "--model", MODEL,
        "--method", "base", "--task", "news_headline", "--dry-run",
    )  # fmt: skip
    assert code == 2 and "no API answers at 127.0.0.1:9/v1" in err and len(err.splitlines()) == 1


def test_a_refused_key_is_told_by_the_plan_and_never_shown(run, api_server, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    api_server.list_models = lambda request: api_server._write(
        request, Answer({"error": {"message": "bad key sk-secret"}}, 401)
    )
    code, out, err = run("--method", "base", "--dry-run")
    assert code == 2 and "LAMPBENCH_API_KEY is refused" in err and "sk-secret" not in out + err


def test_the_key_is_in_no_file(run, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    assert run("--method", "base")[0] == 0
    files = [file for file in Path().rglob("*") if file.is_file()]
    assert files and not any(b"sk-secret" in file.read_bytes() for file in files)


def test_a_model_that_the_server_does_not_list_is_noted(run, api_server):
    code, _, err = run("--method", "base", "--dry-run", "--model", "tiny-2")
    assert code == 0 and "does not list model 'tiny-2'" in err and MODEL in err


def test_what_a_vllm_server_takes_from_the_models_files_is_noted(run, api_server):
    models = {"data": [{"id": MODEL, "owned_by": "vllm"}]}
    api_server.list_models = lambda request: api_server._write(request, Answer(models))
    code, _, err = run("--method", "base", "--dry-run")
    assert code == 0 and "--generation-config vllm" in err
    given = 'fields={"repetition_penalty": 1.0}'
    code, _, err = run("--method", "base", "--dry-run", "--engine-arg", given)
    assert code == 0 and "--generation-config vllm" not in err


def test_an_error_keeps_what_was_answered_and_the_same_command_resumes(run, api_server):
    def revoked(body, number):
        return Answer({"error": "revoked"}, 403) if number >= 9 else None

    api_server.behaviour = revoked
    code, _, err = run("--method", "base", "--price", "2,10")
    assert code == 2 and "error: " in err.splitlines()[-1] and "403" in err
    assert not manifests()
    received = 9
    api_server.behaviour = lambda body, number: None
    before = len(api_server.seen)
    code, _, err = run("--method", "base", "--price", "2,10")
    assert code == 0, err
    assert len(api_server.seen) - before == QUERIES - received
    (made,) = manifests()
    assert made["service"]["answers"] == QUERIES
    (cost,) = made["stages"]
    words = [len(b["messages"][-1]["content"].split()) + 5 for b in api_server.bodies[:9]]
    assert cost["prompt_tokens"] > sum(words) and cost["new_tokens"] == 3 * QUERIES


def test_a_spent_budget_ends_with_75_and_the_same_command_resumes(run, api_server):
    codes = []
    for _ in range(40):
        code, _, err = run(
            "--method", "rag", "--max-cost", "3", "--price", "1000,1000",
            "--engine-arg", "concurrency=2",
        )  # fmt: skip
        codes.append(code)
        if code != 75:
            break
        assert "budget of 3 is spent" in err and "run the same command again" in err
        assert not manifests()
    assert codes[-1] == 0 and codes.count(75) >= 2
    assert len(api_server.seen) == QUERIES  # nothing was paid twice
    assert manifests()[0]["service"]["cost"] > 3


def test_withheld_answers_stop_the_run_or_are_recorded_as_such(run, call, api_server):
    first = []

    def filtered(body, number):
        first.append(body["messages"])
        return (
            Answer(completion(body, _finish_reason="content_filter"))
            if (body["messages"] == first[0])
            else None
        )

    api_server.behaviour = filtered
    code, _, err = run("--method", "base")
    assert code == 2 and f"no answer to 1 of {QUERIES}" in err and "withheld=record" in err
    asked = len(api_server.seen)
    code, out, err = run("--method", "base", "--engine-arg", "withheld=record")
    assert code == 0, err
    assert len(api_server.seen) == asked + 1
    (made,) = manifests()
    assert made["service"]["withheld"] == 1
    (run_,) = lampbench.runs()
    assert [row.prediction == "" for row in run_.predictions].count(True) == 1
    assert "content_filter" in made["service"]["withheld_from"][0]
    assert "answers that the server withheld and that are empty: 1" in out
    code, _, err = call("submit", run_.path, "--name", "x", "--private", "--output", "sent")
    assert code == 0, err
    (sent,) = Path("sent").rglob("manifest.json")
    service = json.loads(sent.read_text())["service"]
    assert (service["withheld"], service["withheld_from"]) == (1, [])
    code, out, err = run("--method", "base", "--engine-arg", "withheld=record", "--private",
                         "--force")  # fmt: skip
    assert code == 0, err
    service = manifests()[0]["service"]
    assert (service["withheld"], service["withheld_from"]) == (1, [])


def test_a_run_is_not_finished_by_another_version_of_the_model(run, api_server):
    def stopped(body, number):
        if number >= 9:
            return Answer({"error": "stop"}, 403)
        return Answer(completion(body, model=f"{MODEL}-2024-01-01"))

    api_server.behaviour = stopped
    assert run("--method", "base")[0] == 2
    api_server.behaviour = lambda body, number: Answer(
        completion(body, model=f"{MODEL}-2025-01-01")
    )
    code, _, err = run("--method", "base")
    assert code == 2 and "answered as 'tiny-1-2024-01-01' before" in err and not manifests()


def test_a_profile_that_was_withheld_is_told_of_in_every_run_that_uses_it(run, api_server):
    api_server.behaviour = lambda body, number: (
        Answer(completion(body, _finish_reason="content_filter")) if "seed" in body else None
    )
    record = ("--engine-arg", "withheld=record")
    assert run("--method", "pag", *record)[0] == 0
    api_server.behaviour = lambda body, number: None
    other = ("--method", "pag", "--set", "prompting.k=1")
    asked = len(api_server.seen)
    code, _, err = run(*other)
    assert code == 2 and "made without 1 texts that the server withheld" in err
    assert len(api_server.seen) == asked and len(manifests()) == 1
    code, out, err = run(*other, *record)
    assert code == 0, err
    assert "answers that the server withheld and that are empty: 2" in out
    first, second = (made["service"] for made in manifests())
    assert first["withheld"] == second["withheld"] == 2
    assert first["answers"] == second["answers"] == QUERIES + 2


def test_a_profile_of_another_version_of_the_model_is_not_used(run, api_server):
    api_server.behaviour = lambda body, number: Answer(
        completion(body, model=f"{MODEL}-2024-01-01")
    )
    assert run("--method", "pag")[0] == 0
    other = ("--method", "pag", "--set", "prompting.k=1")
    api_server.behaviour = lambda body, number: Answer(
        completion(body, model=f"{MODEL}-2025-01-01")
    )
    code, _, err = run(*other)
    assert code == 2 and "answered as 'tiny-1-2024-01-01' before" in err and len(manifests()) == 1


def test_from_python(api_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"engine": "openai", "api_base": api_server.base, "users": 2, "price": (2, 10)}
    with pytest.raises(OutOfBudget):
        lampbench.run(
            "base", "news_headline", model=MODEL, **settings,
            max_total_tokens=1_500, engine_args={"concurrency": 1},
        )  # fmt: skip
    assert 0 < len(api_server.seen) < QUERIES
    found = lampbench.run("base", "news_headline", model=MODEL, **settings)
    assert found.manifest.service and found.manifest.service.answers == QUERIES
    with pytest.raises(LampbenchError, match="--max-cost is for models behind an API"):
        lampbench.plan("base", "news_headline", max_cost=1.0)


def test_its_cost_is_planned_from_a_calibration(call, api_server):
    code, out, err = call("plan", "--engine", "openai", "--api-base", api_server.base, "--model",
                          MODEL, "--task", "news_headline", "--users", "2", "--method", "base",
                          "--calibrate", "--format", "json")  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["seconds"] > 0
    assert found["traffic"] == 2 * found["disk"], "there are no weights to read"
