"""Every number of docs/findings.md, computed a second time from the recorded files alone."""

import gzip
import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from lampbench.record.runs import with_runs
from lampbench.report.contents import arrange
from lampbench.util.errors import LampbenchError
from scripts import findings
from scripts.findings_numbers import Numbers

STEADY = {"base", "rag", "copy_nearest", "copy_lead"}
"""Methods that draw nothing: they have one seed, which stands for all."""
METRICS = ("rouge1", "rougeL", "meteor", "length_ratio")
PENALTY = "decoding.repetition_penalty"


class Asked(Numbers):
    """Keeps what the template asks for, with what it got."""

    def __init__(self, recorded):
        super().__init__(recorded)
        self.asked = []

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found):
            return found

        def keep(*args):
            answer = found(*args)
            self.asked.append((name, args, answer))
            return answer

        return keep


@pytest.fixture(scope="module")
def recorded(root):
    return with_runs(root / "results", arrange)[0]


@pytest.fixture(scope="module")
def asked(recorded):
    numbers = Asked(recorded)
    findings.files(recorded, numbers)
    return numbers.asked


class Files:
    """The recorded files, read without the package."""

    def __init__(self, results):
        self.runs = []
        for path in results.rglob("manifest.json"):
            manifest = json.loads(path.read_text("utf-8"))
            table = json.loads(gzip.decompress((path.parent / "scores.json.gz").read_bytes()))
            self.runs.append((manifest, table))

    def by_seed(
        self, metric, task, method, model="bundled", penalty=None, most=None, settings=None,
        users=None, dtype=None,
    ):  # fmt: skip
        """Seed -> user -> query -> score; of the most frequent precision, and then number of users,
        if none is named.
        """
        runs = [m for m, _ in self.runs if (m["task"], m["model"]) == (task, model)]
        precisions = Counter(m["model_details"]["dtype"] for m in runs)
        precision = dtype or precisions.most_common(1)[0][0]
        counted = Counter(
            m["counts"]["users"] for m in runs if m["model_details"]["dtype"] == precision
        )
        wanted = users or counted.most_common(1)[0][0]
        found: dict[int, dict[str, dict[str, float]]] = {}
        for manifest, table in self.runs:
            if (manifest["task"], manifest["method"], manifest["model"]) != (task, method, model):
                continue
            if manifest["model_details"]["dtype"] != precision:
                continue
            if most_records(manifest) != most or manifest["counts"]["users"] != wanted:
                continue
            overrides = dict(manifest["overrides"])
            if penalty is not None:
                overrides.pop(PENALTY, None)
                if manifest["hyperparameters"][PENALTY]["value"] != penalty:
                    continue
            if overrides != (settings or {}):
                continue
            assert manifest["seed"] not in found, (task, method, model, penalty, most)
            users = found[manifest["seed"]] = defaultdict(dict)
            columns = (table[name] for name in ("user", "query", metric))
            for user, query, score in zip(*columns, strict=True):
                users[user][query] = score
        return found


def most_records(manifest):
    """At most how many records of each user a run has; None: all."""
    return (manifest["dataset"].get("options") or {}).get("max_history")


@pytest.fixture(scope="module")
def files(root):
    return Files(root / "results")


def means(by_seed, seeds=None):
    """User -> query -> mean over the seeds."""
    chosen = [users for seed, users in by_seed.items() if seeds is None or seed in seeds]
    return {
        user: {query: sum(one[user][query] for one in chosen) / len(chosen) for query in queries}
        for user, queries in chosen[0].items()
    }


def over_queries(scores):
    return np.mean([score for queries in scores.values() for score in queries.values()])


def minus(ours, theirs):
    return {
        user: {query: score - theirs[user][query] for query, score in queries.items()}
        for user, queries in ours.items()
    }


def resampled(gaps):
    """2.5% and 97.5% of the mean over queries; users are drawn again with all their queries."""
    sums = np.array([sum(queries.values()) for queries in gaps.values()])
    counts = np.array([len(queries) for queries in gaps.values()])
    drawn = np.random.default_rng(7).integers(len(sums), size=(4000, len(sums)))
    return np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])


def sides(name, args, files):
    """The scores that a question of the template is about: one method's, or two methods'.

    Two methods that draw are compared on the seeds that both have.
    """
    metric = next((one for one in args if one in METRICS), "rougeL")
    match name:
        case "score" | "gain":
            named = [(each, {"model": args[0]}) for each in args[2 : 4 if name == "gain" else 3]]
            task = args[1]
            others: dict[str, object] = {}
            if args[-1] in (100, "float32"):
                others = {"users" if args[-1] == 100 else "dtype": args[-1]}
            named = [(each, {**given, **others}) for each, given in named]
        case "same_users_gain" | "elsewhere":
            model, task, *rest = args
            methods = rest[: 2 if name == "same_users_gain" else 1]
            given = dict(zip(("users", "dtype"), rest[len(methods) :], strict=False))
            found = [
                means(files.by_seed(metric, task, each, model=model, **given), {0})
                for each in methods
            ]
            usual = means(files.by_seed(metric, task, methods[-1], model=model), {0})
            found = [{user: one[user] for user in usual} for one in found]
            return [*found, *([usual] if name == "elsewhere" else [])]
        case "penalised" | "penalised_gain":
            count = 4 if name == "penalised_gain" else 3
            named = [(each, {"penalty": args[1]}) for each in args[2:count]]
            # All penalties of a method are compared on the same seeds.
            named += [(each, {"penalty": 1.0}) for each in args[2:count]]
            task = args[0]
        case "gain_under" | "gain_over_preset":
            named = [(each, {"settings": args[0]}) for each in args[2:4]]
            if name == "gain_over_preset":
                named[1] = (args[3], {})
            task = args[1]
        case "cut" | "cut_gain" | "cut_gain_over":
            model, task, most, method, *rest = args
            named = [(method, {"model": model, "most": most})]
            if name == "cut_gain":
                named.append((method, {"model": model, "most": rest[0]}))
            if name == "cut_gain_over":
                named.append((rest[0], {"model": model}))
            # All lengths of a method's histories are compared on the same seeds.
            named += [(method, {"model": model, "most": 1})]
        case _:
            raise AssertionError(f"{name}: not recomputed")
    found = [files.by_seed(metric, task, each, **given) for each, given in named]
    asked = found[: 1 if name in ("score", "penalised", "cut") else 2]
    if len(found) > 1 and not STEADY & {each for each, _ in named}:
        common = set.intersection(*map(set, found))
        return [means(each, common) for each in asked]
    return [means(each) for each in asked]


def test_every_number_is_that_of_the_files(asked, files):
    checked = 0
    for name, args, answer in asked:
        if name in ("seeds", "diagnosis", "cut_tokens", "cut_users"):
            continue
        found = sides(name, args, files)
        checked += 1
        if len(found) == 1:
            assert answer == f"{over_queries(found[0]):.3f}", (name, args)
            continue
        gaps = minus(*found)
        difference = answer.paired.difference
        assert difference.mean == pytest.approx(over_queries(gaps), abs=1e-12), (name, args)
        by_user = [sum(queries.values()) for queries in gaps.values()]
        assert answer.better == sum(one > 1e-12 for one in by_user), (name, args)
        assert answer.worse == sum(one < -1e-12 for one in by_user), (name, args)
        low, high = resampled(gaps)
        # ours are a little wider where users are few
        width = max(high - low, 1e-4)
        assert abs(difference.low - low) < 0.15 * width, (name, args)
        assert abs(difference.high - high) < 0.15 * width, (name, args)
    assert checked > 60


def test_costs_and_users_of_cut_histories_are_those_of_the_files(asked, files, root):
    checked = set()
    for name, (model, task, most, method), answer in (
        (name, args, answer) for name, args, answer in asked if name in ("cut_tokens", "cut_users")
    ):
        (manifest,) = (
            manifest
            for manifest, _ in files.runs
            if (manifest["model"], manifest["task"], manifest["method"]) == (model, task, method)
            and (manifest["seed"], manifest["overrides"]) == (0, {})
            and most_records(manifest) == most
        )
        if name == "cut_tokens":
            counted = ("trained_tokens", "prompt_tokens", "new_tokens")
            tokens = sum(stage[each] for stage in manifest["stages"] for each in counted)
            assert answer == f"{tokens / manifest['counts']['users']:,.0f}"
        else:
            (whole,) = {
                other["dataset"]["histories_file"]["name"]
                for other, _ in files.runs
                if other["task"] == task
                and other["dataset"]["fingerprint"] == manifest["dataset"]["cut_from"]
            }
            table = json.loads(gzip.decompress((root / "results" / task / whole).read_bytes()))
            assert answer == sum(count > most for count in Counter(table["user"]).values())
        checked.add(name)
    assert checked == {"cut_tokens", "cut_users"}


def test_the_page_is_up_to_date(root, recorded):
    for path, text in findings.files(recorded).items():
        assert (root / path).read_text("utf-8") == text, f"{path}: run python -m scripts.findings"


def test_every_plot_is_generated_and_shown(root, recorded):
    made = {path.name for path in findings.files(recorded)} - {findings.PAGE.name}
    assert {path.name for path in (root / findings.FIGURES).iterdir()} == made
    page = (root / findings.PAGE).read_text("utf-8")
    assert set(re.findall(r"\(figures/([^)]*)\)", page)) == made


def test_the_first_part_is_short_and_every_finding_says_how_sure_it_is(root):
    first, details = (root / findings.PAGE).read_text("utf-8").split("\n## Details\n")
    assert len(first.split()) < 1300
    assert first.count("(figures/") == 2
    numbers = re.findall(r"^\*\*(\d+)\. ", first, re.M)
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    for finding in re.split(r"^\*\*\d+\. ", first, flags=re.M)[1:]:
        parts = re.findall(r"^- \*(.+?):\*", finding, re.M)
        assert parts == ["How sure", "Rests on", "Would change it"], finding
        assert "](#" in finding, f"no link to the details: {finding}"
    assert not re.search(r"^## ", details, re.M)


def test_numbers_in_words_are_few_and_known(root):
    """What is typed by hand is no score of a recorded run: tuning, constants, old versions."""
    text = (root / "scripts" / findings.TEMPLATE).read_text("utf-8")
    typed = re.findall(r"[+-]?\d+\.\d+", re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.S))
    assert set(typed) <= set(findings.TYPED), set(typed) - set(findings.TYPED)


def test_a_sentence_about_a_run_that_is_gone(recorded):
    numbers = Numbers(recorded)
    with pytest.raises(LampbenchError, match="oppu of gpt on news_headline, rougeL: not recorded"):
        numbers.score("gpt", "news_headline", "oppu")
    with pytest.raises(LampbenchError, match=r"cope on topic_writing with penalty 3.0, rougeL"):
        numbers.penalised("topic_writing", 3.0, "cope")
    with pytest.raises(LampbenchError, match="two seeds"):
        numbers.gain("smollm2-135m", "news_headline", "rag", "base").over_seeds()
