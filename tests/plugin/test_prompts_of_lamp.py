"""The prompts of LaMP-1, 2, 3, 7 and LongLaMP-1 are the benchmark's own, to the letter.

Expected texts are what LaMP's `prompts.py` (`create_classification_citation_prompt` and so on)
makes of the same profiles where nothing is too long.
"""

from types import SimpleNamespace
from typing import Any

import pytest

from lampbench.core.dataset import Query, Record, User
from lampbench.core.fidelity import PAPER
from lampbench.core.task import Task
from lampbench.plugin import RetrievalAugmented
from lampbench.plugin.hyperparameter import ValueSources, resolve
from lampbench.plugin.prompting import Plain
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from tests.shared.further_tasks import PUBLISHED, write_published

LAMP = ("citation_identification", "movie_tagging", "product_rating", "tweet_paraphrasing")


def asking(task: Task) -> Any:
    """What a prompt needs of a run."""
    return SimpleNamespace(task=task, quote=task.show, fidelity=PAPER)


def quoting(name: str, history: list[Record], fields: dict[str, str]) -> str:
    """The user message with the whole history quoted, in its order."""
    prompting = RetrievalAugmented(k=9, retriever=lambda history, text, k: history)
    part = resolve(prompting, ValueSources({}, {}), "a test", {})
    user = User("u", tuple(history), ())
    context = asking(Registry().task(name))
    return part.render(context, user, Query("q", fields, None)).text


@pytest.mark.parametrize("name", LAMP)
def test_a_prompt_is_the_input_of_the_files(name, tmp_path) -> None:
    from tests.data.made_files import read

    task = Registry().task(name)
    found = read(task, f"lamp:{write_published(tmp_path, name)}")
    for user in found.test_users:
        for query in user.queries:
            prompt = Plain().render(asking(task), user, query)
            assert prompt.text == PUBLISHED[name].asked(query.id)
            assert prompt.system == ""


def test_citations_stand_behind_the_first_title() -> None:
    papers = [Record(str(n), {"title": f"Old {n}"}, "abstract") for n in range(2)]
    asked = {"title": "New", "reference_1": "A", "reference_2": "B"}
    assert quoting("citation_identification", papers, asked) == (
        'For an author who has written the paper with the title, and "Old 0", and "Old 1" "New", '
        "which reference is related? Just answer with [1] or [2] without explanation. "
        '[1]: "A" [2]: "B"'
    )


def test_tags_of_past_movies() -> None:
    films = [Record(str(n), {"description": f"Film {n}"}, "classic") for n in range(2)]
    text = quoting("movie_tagging", films, {"description": "New film"})
    start = (
        'the tag for the movie: "Film 0" is "classic" , and the tag for the movie: "Film 1" is '
        '"classic" . Which tag does this movie relate to among the following tags? Just answer '
    )
    assert text.startswith(start)
    assert text.endswith("violence, true story] description: New film")


def test_scores_of_past_reviews() -> None:
    reviews = [Record(str(n), {"review": f"Review {n}"}, str(n + 1)) for n in range(2)]
    assert quoting("product_rating", reviews, {"review": "New"}) == (
        '1 is the score for "Review 0" , and 2 is the score for "Review 1" . What is the score of '
        "the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without "
        "further explanation. review: New"
    )


def test_past_tweets() -> None:
    tweets = [Record(str(n), {}, f"tweet {n}") for n in range(2)]
    assert quoting("tweet_paraphrasing", tweets, {"text": "New"}) == (
        '"tweet 0" , and "tweet 1"  are written by a person. Following the given patterns '
        "Paraphrase the following tweet without any explanation before or after it: New"
    )


def test_past_emails() -> None:
    mails = [Record(str(n), {"subject": f"Re: {n}"}, f"Dear {n}") for n in range(2)]
    assert quoting("email_generation", mails, {"subject": "New"}).startswith(
        '"Re: 0" is the title for "Dear 0" , and "Re: 1" is the title for "Dear 1" . '
    )


@pytest.mark.parametrize("name", [*LAMP, "email_generation"])
def test_without_history_the_prompt_is_the_plain_one(name) -> None:
    task = Registry().task(name)
    fields = {field: f"the {field}" for field in task.fields}
    assert quoting(name, [], fields) == task.prompt(fields).text


@pytest.mark.parametrize(
    ("name", "fields", "target", "asked", "found_by"),
    [
        ("citation_identification", {"title": "T"}, "abstract", "A B", "T abstract"),
        ("movie_tagging", {"description": "film"}, "comedy", "film", "film"),
        ("product_rating", {"review": "good"}, "5", "good", "good"),
        ("tweet_paraphrasing", {}, "a tweet", "formal", "a tweet"),
        ("email_generation", {"subject": "Re"}, "Dear", "Re", "Dear"),
    ],
)
def test_retrieval_compares_what_the_benchmark_compares(name, fields, target, asked, found_by):
    """The `query_corpus_maker` of each task."""
    task = Registry().task(name)
    values = dict(zip(task.fields, ["T", "A", "B"], strict=False))
    query = {1: {task.fields[0]: asked}, 3: values}[len(task.fields)]
    assert task.query_text(Query("q", query, None)) == asked
    assert task.record_text(Record("r", fields, target)) == found_by


class TestRecordsThatAreNoExamples:
    def test_tweets_train_on_a_prompt_of_their_own(self) -> None:
        task = Registry().task("tweet_paraphrasing")
        assert task.prompt({}).text == "tweet:"
        assert task.records_are_examples

    def test_citations_have_no_prompt_to_train_on(self) -> None:
        task = Registry().task("citation_identification")
        assert not task.records_are_examples
        with pytest.raises(LampbenchError, match="no prompt for them"):
            task.prompt({"title": "Old"})

    @pytest.mark.parametrize("method", ["oppu", "cope", "oppu_dpo"])
    def test_training_on_them_is_refused_before_anything_is_made(self, method, tmp_path) -> None:
        import lampbench

        folder = write_published(tmp_path / "data", "citation_identification")
        with pytest.raises(LampbenchError, match=f"{method} cannot run on citation") as told:
            lampbench.plan(method, "citation_identification", data=f"lamp:{folder}")
        assert "\n" not in str(told.value)

    @pytest.mark.parametrize("method", ["base", "rag", "pag", "tam", "rag_recent"])
    def test_methods_that_quote_them_run(self, method, tmp_path) -> None:
        import lampbench

        folder = write_published(tmp_path / "data", "citation_identification")
        assert lampbench.plan(method, "citation_identification", data=f"lamp:{folder}")
