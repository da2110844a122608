"""The released code's own prompts, quotations and retrieval, switch by switch."""

import random
from dataclasses import replace

import pytest
from rank_bm25 import BM25Okapi

from lampbench.core.dataset import Query, Record, User
from lampbench.core.fidelity import PAPER, REFERENCE
from lampbench.plugin import BM25, Plain, RetrievalAugmented
from lampbench.registry import Registry

WORDED = replace(PAPER, released_wording=True)
BLANKS = replace(PAPER, split_on_blanks=True)
SHORTER = replace(PAPER, review_without_text=True)

RECORDS = {
    "news_headline": {"text": "A  {storm}."},
    "scholarly_title": {"abstract": "A  {storm}."},
    "abstract_generation": {"title": "A  {storm}"},
    "review_writing": {"rating": "4.0", "description": "A  {boat}", "summary": "So 'wet'"},
    "topic_writing": {"summary": "A  {storm}"},
}
PROMPTS = {
    "news_headline": "Generate a headline for the following article.\narticle: A  {storm}."
    "\nheadline:",
    "scholarly_title": "Generate a title for the following abstract of a paper.\n abstract: "
    "A  {storm}. title:",
    "abstract_generation": "Generate an abstract for the title 'A  {storm}'.\nAbstract:",
    "review_writing": "Generate the review text written by a reviewer who has a given an overall "
    'rating of "4.0" for a product with description "A  {boat}". The summary of the review text is '
    "\"So 'wet'\".\nReview:",
    "topic_writing": "Generate the content for a reddit post \npost: A  {storm}\ncontent:",
}
"""What `prompt` of prompt.json gives, formatted with the fields above."""

QUOTED = {
    "news_headline": "article: A  {storm}. headline: By me\n",
    "scholarly_title": "abstract: A  {storm}. title: By me\n",
    "abstract_generation": "title: A  {storm}.\nabstract: By me\n",
    "review_writing": "description: A  {boat} overall rating: 4.0 summary: So 'wet'\n",
    "topic_writing": "post:A  {storm} content: By me\n",
}
"""What `retrieval_history` gives."""

SEARCHED = {
    "news_headline": "Generate a headline for the following article: {text}",
    "scholarly_title": "Generate a title for the following abstract of a paper: {abstract}",
    "abstract_generation": "Generate an abstract for the title '{title}'.",
    "review_writing": "Generate the review text written by a reviewer who has a given an overall "
    'rating of "{rating}" for a product with description "{description}". The summary of the '
    'review text is "{summary}"',
    "topic_writing": "Generate the content for a reddit post {summary}",
}
"""`retrieval_query`, with lampbench's names of the fields."""

SHOWN = {
    "news_headline": "article: {text} headline: {target}\n",
    "scholarly_title": "abstract: {abstract} title: {target}\n",
    "abstract_generation": "title: {title}.\nabstract: {target}\n",
    "review_writing": "description: {description} overall rating: {rating} summary: {summary}\n",
    "topic_writing": "post:{summary} content: {target}\n",
}
TASKS = sorted(RECORDS)


@pytest.fixture
def context(planner):
    """The context of a run on a task, under given fidelity switches."""
    executor = planner("rag").executor

    def get(task, fidelity):
        task = Registry().task(task)
        executor.spec = replace(executor.spec, task=task, fidelity=fidelity)
        return executor

    return get


def asked(context, item):
    return Plain().render(context, User("u", (), ()), item)


class TestWording:
    @pytest.mark.parametrize("name", TASKS)
    @pytest.mark.parametrize("fidelity", [WORDED, REFERENCE], ids=["alone", "reference"])
    def test_prompts_are_the_released_ones_to_the_letter(self, context, name, fidelity) -> None:
        for item in (Query("q", RECORDS[name], None), Record("r", RECORDS[name], "By me")):
            assert asked(context(name, fidelity), item).text == PROMPTS[name]

    @pytest.mark.parametrize("name", TASKS)
    def test_only_three_tasks_differ_from_appendix_c(self, context, name) -> None:
        query = Query("q", RECORDS[name], None)
        paper, worded = (asked(context(name, each), query).text for each in (PAPER, WORDED))
        differ = {"scholarly_title", "abstract_generation", "topic_writing"}
        assert (paper != worded) == (name in differ)

    def test_a_title_with_items_is_taken_with_its_quotation_marks(self, context) -> None:
        query = Query("q", {"title": "A {b}", "items": "1. Cats\n2. Dogs"}, None)
        prompt = asked(context("abstract_generation", WORDED), query)
        title = '"A {b}" using the following items: 1. Cats\n2. Dogs'
        assert prompt.text == f"Generate an abstract for the title '{title}'.\nAbstract:"
        assert [piece.text for piece in prompt.pieces if piece.shrink] == ["1. Cats\n2. Dogs"]
        paper = asked(context("abstract_generation", PAPER), query).text
        assert paper == f"Generate an abstract for the title {title}.\nAbstract:"

    @pytest.mark.parametrize("name", TASKS)
    def test_quotations_are_the_released_ones_to_the_letter(self, context, name) -> None:
        record = Record("r", RECORDS[name], "By me")
        assert context(name, REFERENCE).quote(record) == QUOTED[name]
        shorter, worded = (context(name, each).quote(record) for each in (SHORTER, WORDED))
        assert (shorter == QUOTED[name]) == (name != "topic_writing")
        assert (worded == QUOTED[name]) == (name != "review_writing")

    def test_quoted_records_come_before_the_released_prompt(self, context) -> None:
        history = (Record("r", RECORDS["topic_writing"], "By me"),)
        query = Query("q", RECORDS["topic_writing"], None)
        user = User("u", history, (query,))
        found = RetrievalAugmented(k=1).render(context("topic_writing", WORDED), user, query)
        assert found.text == QUOTED["topic_writing"] + "\n" + PROMPTS["topic_writing"]

    def test_the_task_adapter_trains_on_the_items_too(self, context) -> None:
        task = context("abstract_generation", REFERENCE).task
        prompt = task.prompt({"title": "A", "items": "1. B"}, template=task.raw_input)
        assert prompt.text == (
            'Generate an abstract for the title "A" using the following items: 1. B'
        )


def made_up(draws, name, words):
    """Fields and target with blanks, line breaks and words of the instruction in them."""
    kinds = ["storm", "coast", "the", "a", "for", "Generate", "fox", "title", "of", "bridge,"]

    def text():
        drawn = [draws.choice(kinds) + draws.choice([" ", " ", "  ", "\n"]) for _ in range(words)]
        return "".join(drawn).strip()

    return {field: text() for field in RECORDS[name]}, text()


def released_scores(name, item, history):
    """BM25's score of each record in OPPU.py (235-242 in training, 295-320 in tests)."""
    trains = isinstance(item, Record)
    limit = 768 if trains else 368

    def cut(text):
        return " ".join(text.split()[:limit])

    documents = [
        SHOWN[name].format(
            **{key: cut(value) for key, value in record.fields.items()}, target=cut(record.target)
        )
        for record in history
    ]
    fields = {key: cut(value) if trains else value for key, value in item.fields.items()}
    bm25 = BM25Okapi([document.split(" ") for document in documents])
    query = SEARCHED[name].format(**fields).split(" ")
    return list(bm25.get_scores(query))


@pytest.mark.parametrize("name", TASKS)
class TestRetrieval:
    def test_bm25_ranks_as_the_released_code(self, context, name) -> None:
        """In tests and, for a past record, in training; the paper's ranking is often another one.

        Among equals the code's order is its sort's, which numpy does not promise; here it is fixed.
        """
        draws, different = random.Random(0), 0
        for _ in range(40):
            words = draws.choice([6, 12, 400])
            history = tuple(Record(str(n), *made_up(draws, name, words)) for n in range(8))
            query = Query("q", made_up(draws, name, words)[0], None)
            user = User("u", history, (query,))
            for item, shown in ((query, history), (history[6], history[:6])):
                scores = released_scores(name, item, shown)
                best = sorted(range(len(shown)), key=lambda n: (scores[n], n), reverse=True)
                prompting = RetrievalAugmented(k=4, retriever=BM25())
                found, papers = (
                    [one.id for one in prompting.quotes(context(name, fidelity), user, item)]
                    for fidelity in (REFERENCE, PAPER)
                )
                assert found == [str(n) for n in best[:4]]
                different += found != papers
        assert different > 10

    def test_the_switch_acts_alone(self, context, name) -> None:
        """A record without a word of its own is still found: its markers are words."""
        history = (Record("0", dict.fromkeys(RECORDS[name], ""), ""),)
        query = Query("q", RECORDS[name], None)
        user = User("u", history, (query,))
        prompting = RetrievalAugmented(k=2)
        assert prompting.quotes(context(name, PAPER), user, query) == []
        assert prompting.quotes(context(name, BLANKS), user, query) == list(history)
