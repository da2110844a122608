"""The Python on the pages runs: examples of plugins, and scripts as in a notebook."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import lampbench
from lampbench.engine.protocol import Completion, GenerateRequest, SFTExample
from lampbench.execution.runner import execute
from lampbench.record.runs import load_runs
from lampbench.scoring import Scoring, score_predictions
from lampbench.scoring.prediction_row import PredictionRow
from tests.shared.fake_runs import Planner, RecordingEngine
from tests.shared.pages import ROOT, blocks, pages

PYTHON = [block for page in pages() for block in blocks(page) if block.language == "python"]
PLUGINS = {block.file: block for block in PYTHON if block.file}
METHODS = sorted(name for name, block in PLUGINS.items() if "register_method" in block.body)
SCRIPTS = sorted({block.page for block in PYTHON if not block.file})


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], Path]:
    """Writes an example to a file of its own."""

    def write(name: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(PLUGINS[name].body, encoding="utf-8")
        return path

    return write


@pytest.fixture
def recorded(
    on_fake_engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A working folder in which `lampbench` uses the recording engine for every model."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", METHODS)
def test_an_example_of_a_method_runs(
    name: str, plugin: Callable[[str], Path], planner: Planner, tmp_path: Path
) -> None:
    found = re.search(r'register_method\("(\w+)"\)', PLUGINS[name].body)
    assert found
    execute(planner(found[1], plugins=[plugin(name)]), "lampbench", tmp_path / "results")
    (run,), problems = load_runs(tmp_path / "results")
    assert not problems
    assert run.manifest.method == found[1]
    assert len(run.predictions) == 5
    assert all(row.prediction for row in run.predictions)


def _answers(name: str, plans: Planner, file: Path, results: Path) -> dict[str, str]:
    execute(plans(name, plugins=[file]), "lampbench", results)
    (run,), _ = load_runs(results)
    return {row.query: row.prediction or "" for row in run.predictions}


def test_nearest_answers_with_the_most_similar_headline(
    plugin: Callable[[str], Path], planner: Planner, tmp_path: Path
) -> None:
    answers = _answers("nearest", planner, plugin("nearest"), tmp_path / "results")
    assert answers["ann-q1"] == "headline 1 by ann"


def test_the_second_pass_of_refine_shows_the_first(
    plugin: Callable[[str], Path], planner: Planner, engine: RecordingEngine, tmp_path: Path
) -> None:
    _answers("refine", planner, plugin("refine"), tmp_path / "results")
    prompts = [request.prompt.text for request in engine.generated]
    first, second = prompts[:5], prompts[5:]
    assert not any("Draft: " in prompt for prompt in first)
    assert len(second) == 5
    assert all("Draft: " in prompt and "The author wrote: " in prompt for prompt in second)


def test_reranked_gives_the_sample_with_the_best_score(
    plugin: Callable[[str], Path], planner: Planner, engine: RecordingEngine, tmp_path: Path
) -> None:
    answers = _answers("reranked", planner, plugin("reranked"), tmp_path / "results")
    likely: dict[str, dict[str, float]] = {}
    for request in engine.scored:
        (result,) = RecordingEngine().score([request])
        query = request.id.split()[0]
        likely.setdefault(query, {})[request.response] = sum(result.logprobs)
    assert answers.keys() == likely.keys()
    for query, answer in answers.items():
        assert len(likely[query]) > 1
        assert likely[query][answer] == max(likely[query].values())


def test_consensus_gives_the_sample_that_shares_most_words(
    plugin: Callable[[str], Path],
    planner: Planner,
    engine: RecordingEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    drawn = ["one odd answer", "fish and chips", "fish and more chips", "chips"]

    def generate(requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        for request in requests:
            for sample in range(request.samples):
                yield Completion(request.id, sample, drawn[sample], (1,), 1, (0,), 0, False)

    monkeypatch.setattr(engine, "generate", generate)
    plan = planner("consensus", plugins=[plugin("consensus")])
    assert plan.method.generated_per_query() == len(drawn)
    answers = _answers("consensus", planner, plugin("consensus"), tmp_path / "results")
    assert len(answers) == 5 and set(answers.values()) == {"fish and more chips"}


def test_mean_of_nearest_adds_up_the_adapters_of_its_lenders(
    plugin: Callable[[str], Path], planner: Planner, engine: RecordingEngine, tmp_path: Path
) -> None:
    file = plugin("mean_of_nearest")
    lines = file.read_text().partition("@dataclass")[2].splitlines()  # below the imports
    assert len([line for line in lines if line.strip()]) <= 25
    plan = planner("near_mean", plugins=[file])
    execute(plan, "lampbench", tmp_path / "results")
    part: Any = plan.method.adaptation
    context, users = plan.executor, plan.executor.dataset.test_users
    wanted = []
    for user in users:
        near = part.lenders(context.dataset, 0, user)
        assert user not in near and len(near) == 2
        wanted.append(tuple((context.adapter(part.recipe, one), 1 / 2) for one in near))
        asked = [one for one in engine.generated if one.id.startswith(user.id)]
        assert {one.weights[-1] for one in asked} == {context.adapter(part, user)}
    assert sorted(job.terms for job in engine.combined) == sorted(wanted)
    assert part.lenders(context.dataset, 0, None) == []


def test_first_words_are_counted_once_per_user(
    plugin: Callable[[str], Path], planner: Planner, engine: RecordingEngine, tmp_path: Path
) -> None:
    _answers("first_words", planner, plugin("first_words"), tmp_path / "results")
    assert all(
        request.prompt.text.startswith("The author often begins with: headline\n")
        for request in engine.generated
    )


def test_the_example_of_an_engine_answers_as_the_reference_does(
    plugin: Callable[[str], Path], tmp_path: Path
) -> None:
    """On the bundled model, which neither of the two knows."""
    file = plugin("pipeline_engine")
    assert len([line for line in file.read_text().splitlines()[11:] if line.strip()]) <= 40
    runs = [
        lampbench.run(
            "base", "news_headline", users=2, engine=engine, plugins=[str(file)],
            model="bundled-small", results=tmp_path / engine, cache_dir=tmp_path / "cache",
            assignments=["decoding.repetition_penalty=1.0"],
        )
        for engine in ("pipeline", "reference")
    ]  # fmt: skip
    answers = [[row.prediction for row in run.predictions] for run in runs]
    assert answers[0] == answers[1] and any(answers[0])
    details = runs[0].manifest.model_details
    assert details.engine == "pipeline"
    told = dict(details.engine_identity)
    assert re.fullmatch(r"[0-9a-f]{16}", told.pop("code"))
    assert told == {"name": "pipeline", "version": "1", "beams": "1"}
    assert runs[0].manifest.key != runs[1].manifest.key


def test_the_example_of_a_metric_scores(plugin: Callable[[str], Path]) -> None:
    texts = ("Why we fish", "Fish again", "")
    rows = [PredictionRow("u", str(i), one, "x", truncated=False) for i, one in enumerate(texts)]
    history = {"u": ("Why now?", "Why not", "Where it ends", "How so")}
    scoring = Scoring(("opening",), (plugin("opening"),), history)
    assert [row["opening"] for row in score_predictions(rows, None, scoring)] == [0.5, 0.0, None]


def test_the_example_of_a_task_runs_on_its_own_data(
    plugin: Callable[[str], Path], recorded: Path
) -> None:
    data = recorded / "mails"
    data.mkdir()
    about = {"task": "subject_line", "source": "a test", "licence": "none", "attribution": "none"}
    (data / "dataset.json").write_text(
        json.dumps({**about, "synthetic": True, "description": "mails of nobody"})
    )

    def user(name: str) -> str:
        mails = [
            {"id": f"{name}{i}", "date": None, "fields": {"body": f"mail {i} of {name}"},
             "target": f"subject {i}"} for i in range(3)
        ]  # fmt: skip
        return json.dumps({"id": name, "history": mails[:2], "queries": mails[2:]}) + "\n"

    (data / "test.jsonl").write_text(user("ann") + user("bob"))
    (data / "train.jsonl").write_text(user("eve"))
    run = lampbench.run(
        "rag", "subject_line", data=f"lampbench:{data}", plugins=[str(plugin("subject_line"))]
    )
    assert [row.reference for row in run.predictions] == ["subject 2", "subject 2"]


def test_the_example_of_records_without_inputs_trains_and_answers(
    plugin: Callable[[str], Path], recorded: Path, on_fake_engine: RecordingEngine
) -> None:
    """The data is the line that the page shows."""
    page = (ROOT / "docs/plugins/task.md").read_text("utf-8")
    line = re.search(r'^    (\{"id": "ann".*?\]\})$', page, re.S | re.M)
    assert line
    user = json.loads(line[1])
    data = recorded / "posts"
    data.mkdir()
    about = {"task": "next_post", "source": "a test", "licence": "none", "attribution": "none"}
    (data / "dataset.json").write_text(
        json.dumps({**about, "synthetic": True, "description": "posts of nobody"})
    )
    (data / "test.jsonl").write_text(json.dumps(user) + "\n")
    (data / "train.jsonl").write_text(json.dumps(user | {"id": "eve"}) + "\n")
    run = lampbench.run(
        "oppu", "next_post", data=f"lampbench:{data}", plugins=[str(plugin("next_post"))]
    )
    assert [row.reference for row in run.predictions] == ["The fish like rain."]
    (job,) = (one for one in on_fake_engine.trained if one.id == "ann")
    ((example,),) = [job.data]
    assert isinstance(example, SFTExample)
    assert (example.prompt.text, example.response) == ("Write a post.\npost:", "Fish again.")
    assert {one.prompt.text for one in on_fake_engine.generated} == {
        "Write a post about rain.\npost:"
    }


@pytest.mark.parametrize("page", SCRIPTS)
def test_python_of_a_page_runs_from_top_to_bottom(page: str, recorded: Path) -> None:
    # a notebook: its cells share their names, and classes have no file
    cells: dict[str, Any] = {"__name__": "notebook"}
    for block in blocks(page):
        if block.language == "python" and not block.file:
            exec(compile(block.body, f"{page}: {block.body[:40]!r}", "exec"), cells)
    run = cells.get("run")
    assert run or page == "docs/own-data.md", "it writes data, which a command then reads"
    if run:
        assert run.manifest.dataset.test_users == 8
        assert len(run.frame()) == run.manifest.dataset.queries
        assert {"user", "query", "prediction", "rougeL"} <= set(run.frame().columns)
    recorded_methods = {one.manifest.method for one in load_runs(recorded / "results")[0]}
    if page == "docs/guide.md":
        assert recorded_methods >= {"cope", "tam", "oppu", "two_texts"}
        assert (recorded / "leaderboard.md").is_file()
