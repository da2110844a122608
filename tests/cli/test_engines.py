"""Which engine does which stage: choice, keys, and what is refused before anything runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lampbench.engine.pool import EngineOptions
from lampbench.execution.stage_engines import engine_of, work_of
from lampbench.plugin.adaptation import TaskSFT, UserDPO, UserSFT
from lampbench.plugin.dense_retrieval import Embeddings
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.util.errors import LampbenchError

WRITER = """\
from lampbench.plugin import Capability, EnginePlugin, register_engine


@register_engine("writer")
class Writer(EnginePlugin):
    summary = "generates and nothing else"
    capabilities = frozenset({Capability.GENERATE, Capability.SAMPLE, Capability.SCORES_PENALTY})
    def open(self, setup):
        raise AssertionError("nothing may be opened")
"""
LORA: dict[str, Any] = {"rank": 2, "alpha": 2, "dropout": 0.0, "targets": ("q_proj",)}
OPTIM: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 1, "batch_size": 1, "weight_decay": 0.0,
         "warmup_ratio": 0.0, "max_grad_norm": 0.0}  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> list[str]:
    (tmp_path / "writer.py").write_text(WRITER)
    return ["--engine", "writer", "--plugins", "writer.py"]


@pytest.fixture
def configured(tmp_path):
    """A file of --config with these lines in its table [engine]."""

    def write(*lines):
        (tmp_path / "c.toml").write_text("\n".join(["[engine]", *lines]) + "\n")
        return ["--config", "c.toml"]

    return write


def test_a_stage_is_named_by_itself_or_by_what_it_does():
    sft = TaskSFT(**LORA, **OPTIM)
    user = UserSFT(start=sft, **LORA, **OPTIM)
    samples = Samples(sampled_from=sft, n=2, temperature=1.0, top_p=1.0, max_new_tokens=4)
    lowest = LowestReward(samples=samples, judged_by=user)
    dpo = UserDPO(start=user, negatives=lowest, beta=1.0, dropout=0.0, **OPTIM)
    recipes = [sft, user, samples, lowest, dpo]
    works = [work_of(recipe) for recipe in recipes]
    assert works == ["train", "train", "sample", "score", "train"]
    assert work_of(Embeddings()) is None
    options = EngineOptions(stages={"train": "a", "user_dpo": "b", "sample": "c", "predict": "d"})
    assert [engine_of(options, recipe) for recipe in recipes] == ["a", "a", "c", "batched", "b"]
    assert engine_of(options, None) == "d"
    assert options.engines == ("batched", "a", "b", "c", "d")


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("tam", "task_sft of tam news_headline: engine writer cannot use LoRA adapters, fine-tune "
                "adapters; use --engine batched or reference"),
        ("cad", "predict of cad news_headline: engine writer cannot decode contrastively"),
        ("best_of_n", "engine writer cannot"),
    ],
)  # fmt: skip
def test_what_an_engine_cannot_do_is_refused_before_anything_runs(
    call, writer, tmp_path, method, said
):
    code, out, err = call("run", "--method", method, "--task", "news_headline", "--users", "2",
                          *writer)  # fmt: skip
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and said in err, err
    assert not (tmp_path / "results").exists()


def test_an_engine_that_generates_answers_prompting_methods(planned, writer):
    (plan,), _ = planned("--method", "rag", *writer)
    assert [stage["engine"] for stage in plan["stages"]] == ["writer"]


def test_stages_have_the_engines_of_the_configuration(planned, configured):
    (plan,), _ = planned("--method", "cope", *configured('sample = "reference"'))
    engines = {stage["stage"]: stage["engine"] for stage in plan["stages"]}
    assert engines.pop("negatives") == "reference"
    assert set(engines.values()) == {"batched"} and len(engines) == 5


def test_a_stages_engine_changes_its_key_and_what_is_made_from_it(tmp_path):
    """The task's and the users' adapters keep theirs; negatives, DPO and the run do not."""
    from lampbench import api

    def plan(**settings):
        (found,) = api.plan("cope", "news_headline", users=2, cache_dir=tmp_path / "cache",
                            results=tmp_path / "results", **settings)  # fmt: skip
        keys = found.executor.keys
        return {s.name: keys.joint(s.recipe, s.owners) for s in found.stages} | {
            "run": found.folder.name
        }

    usual, other = plan(), plan(stage_engines={"sample": "reference"})
    same = {name for name in usual if usual[name] == other[name]}
    assert same == {"task_sft", "user_sft"}
    assert plan(engine="batched", stage_engines={"sample": "batched"}) == usual
    everywhere = plan(engine="reference")
    assert not any(usual[name] == everywhere[name] for name in usual)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['smaple = "reference"'], "[engine] smaple: these methods have no such stage: did you"),
        (['sample = "nothing"'], "no engine is called 'nothing': there are batched"),
        (["sample = 3"], "[engine] sample = 3: give the name of an engine"),
        (["[engine.batched]", "beams = 3"], "engine batched has no argument 'beams'"),
    ],
)
def test_a_wrong_table_is_one_line(call, configured, lines, said):
    code, _, err = call("run", "--method", "cope", "--task", "news_headline", "--users", "2",
                        "--dry-run", *configured(*lines))  # fmt: skip
    assert code == 2 and len(err.splitlines()) == 1 and said in err, err


def test_an_unknown_engine_and_argument_are_one_line(call):
    run = ["run", "--method", "base", "--task", "news_headline", "--users", "2", "--dry-run"]
    invariant = ["--device", "cpu", "--engine-arg", "batch_invariant=true"]
    for arguments, said in (
        (["--engine", "batchd"], "no engine is called 'batchd': did you mean batched?"),
        (["--engine-arg", "beams=2"], "engine batched has no argument 'beams' (--engine-arg)"),
        (["--engine-arg", "beams"], "--engine-arg beams: write KEY=VALUE"),
        (["--engine-arg", "step=fast"], "step=fast of engine batched: choose one of exact, static"),
        (["--engine-arg", "step=graph", "--device", "cpu"], "step=graph needs CUDA"),
        (["--engine-arg", "batch_invariant=yes"], "batch_invariant=yes of engine batched: give"),
        (
            [*invariant, "--engine-arg", "step=static"],
            "batch_invariant=true: it has steps of its own; leave out --engine-arg step=static",
        ),
    ):
        code, _, err = call(*run, *arguments)
        assert code == 2 and len(err.splitlines()) == 1 and said in err, err


def test_a_request_that_was_not_foreseen_is_refused_when_it_comes():
    from lampbench.core.prompt import Piece, Prompt
    from lampbench.engine.capability import Capability
    from lampbench.engine.guarded_engine import GuardedEngine
    from lampbench.engine.protocol import GenerateRequest, GenerationSpec, ScoreRequest

    asked = []

    class Writes:
        def generate(self, requests):
            asked.append(requests)
            return iter(())

    writes: Any = Writes()  # it has no more than it declares
    guarded = GuardedEngine(
        writes, "writes", frozenset({Capability.GENERATE}), lambda needed: ("batched",)
    )
    prompt = Prompt("", (Piece("x"),))
    plain = GenerateRequest("q", prompt, (), GenerationSpec(2))
    list(guarded.generate([plain]))
    penal = GenerateRequest("q", prompt, (), GenerationSpec(2, 1.2))
    with pytest.raises(LampbenchError, match="engine writes cannot apply a repetition penalty to "
                       "log-probabilities; --engine batched can"):  # fmt: skip
        guarded.generate([plain, penal])
    with pytest.raises(LampbenchError, match="engine writes cannot score responses"):
        guarded.score([ScoreRequest("s", prompt, "x", ())])
    assert asked == [[plain]]


def test_engines_are_listed_with_what_they_cannot_do(call, writer):
    code, out, _ = call("engines", "--plugins", "writer.py")
    assert code == 0
    assert "batched can: everything" in out and "writer can: generate answers, draw" in out
    code, out, _ = call("engines", "--format", "json", "--plugins", "writer.py")
    found = {each["name"]: each for each in json.loads(out)["engines"]}
    assert found["writer"]["capabilities"] == ["generate", "sample", "scores_penalty"]
    assert found["reference"]["missing"] == [] and found["batched"]["batch_invariant"]


MISSING = """\
    def missing(self):
        return ("wonder; pip install wonder",)
"""
ELSEWHERE = """\
    arguments = (EngineArgument("place", str, "where wonder is", keyed=False),)

    def missing_with(self, setup):
        return () if setup.arguments["place"] else self.missing()
"""


def test_an_engine_that_needs_what_is_not_here_is_refused(planned, call, writer, tmp_path):
    """Unless an argument says where it is, which is none of a run's key."""
    text = (WRITER + MISSING + ELSEWHERE).replace("Capability,", "Capability, EngineArgument,", 1)
    (tmp_path / "writer.py").write_text(text)
    code, _, err = call("run", "--method", "base", "--task", "news_headline", "--users", "2",
                        "--dry-run", *writer)  # fmt: skip
    assert code == 2
    assert "engine writer cannot be used here: wonder; pip install wonder" in err
    assert "writer needs: wonder" in call("engines", "--plugins", "writer.py")[1]
    paths = set()
    for place in ("here", "there"):
        (plan,), _ = planned("--method", "base", *writer, "--engine-arg", f"place={place}")
        paths.add(plan["path"])
    assert len(paths) == 1


def test_an_edited_engine_makes_other_runs(planned, tmp_path):
    """As with a method, wherever the file is."""
    paths = []
    for name, text in (("one", WRITER), ("same", WRITER), ("other", f"{WRITER}\n# edited\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "writer.py").write_text(text)
        (plan,), _ = planned("--method", "base", "--engine", "writer", "--plugins",
                             f"{name}/writer.py")  # fmt: skip
        paths.append(plan["path"])
    assert paths[0] == paths[1] != paths[2]


BAD = """\
    def close(self, engine):
        print("closed", type(engine).__name__)


class Bad:
    def generate(self, requests):
        return iter([1 // 0])
"""


def test_a_fault_of_an_engine_is_told_as_its_own_and_it_is_closed(call, tmp_path):
    text = WRITER.replace('raise AssertionError("nothing may be opened")', "return Bad()") + BAD
    (tmp_path / "writer.py").write_text(text)
    code, out, err = call("run", "--method", "base", "--task", "news_headline", "--users", "2",
                          "--engine", "writer", "--plugins", "writer.py")  # fmt: skip
    assert code == 2 and len(err.strip().splitlines()[-1]) < 300
    assert re.search(r"engine writer failed in Bad.generate\(\) at .*writer\.py:\d+: Zero", err), (
        err
    )
    assert "closed Bad" in out


def test_a_run_of_another_engine_is_recorded_and_planned_again(call, on_fake_engine, tmp_path):
    """Its manifest says which engines, and the run is found under its key."""
    import lampbench
    from lampbench.report.setups import setup_of
    from lampbench.study.replan import Replanner

    one = lampbench.run("cope", "news_headline", users=2, stage_engines={"sample": "reference"})
    details = one.manifest.model_details
    assert (details.engine, details.stage_engines) == ("batched", {"negatives": "reference"})
    usual = lampbench.run("cope", "news_headline", users=2)
    told = setup_of(one).engine
    assert told == "batched; negatives by reference version 2" != setup_of(usual).engine
    assert details.stage_identities == {"negatives": {"name": "reference", "version": "2"}}
    whole = lampbench.run("base", "news_headline", users=2, engine="reference")
    assert whole.manifest.model_details.engine_identity == {"name": "reference", "version": "2"}
    assert setup_of(whole).engine == "reference version 2"
    invariant = lampbench.run(
        "cope", "news_headline", users=2, device="cpu", engine_args=("batch_invariant=true",)
    )
    assert invariant.manifest.key != usual.manifest.key
    assert invariant.manifest.model_details.engine_arguments == {
        "batched": {"batch_invariant": "true"}
    }
    assert setup_of(invariant).engine == "batched batch_invariant True version 1"
    for run in (one, usual, whole, invariant):
        plan = Replanner(tmp_path / ".lampbench" / "cache").plan(run.manifest, tmp_path / "results")
        assert plan.folder.name == run.manifest.key


@pytest.mark.parametrize(
    ("method", "changed"),
    [("user_prefix", {"user_tuning", "run"}), ("per_pcs", {"gates", "assembled", "run"}),
     ("oppu", set())],
)  # fmt: skip
def test_the_reference_engines_version_counts_where_work_is_passed_on_to_it(
    tmp_path, monkeypatch, method, changed
):
    from lampbench import api
    from lampbench.engines.reference import Reference

    def keys(**settings):
        (plan,) = api.plan(method, "news_headline", users=2, cache_dir=tmp_path / "cache",
                           results=tmp_path / "results", **settings)  # fmt: skip
        found = {s.name: plan.executor.keys.joint(s.recipe, s.owners) for s in plan.stages}
        return found | {"run": plan.folder.name}

    before = keys()
    monkeypatch.setattr(Reference, "version", "another")
    after = keys()
    assert {name for name in before if before[name] != after[name]} == changed
