"""The page begins with its answer; then one table with a choice of metric, then why; permalinks."""

import re
from html import unescape

from lampbench.record.recorded_run import Run
from lampbench.report.contents import arrange
from lampbench.report.page.template import slug
from lampbench.report.takeaways import main_setup, takeaways
from tests.report.page.parsed import built, page_of
from tests.shared.recorded_fixtures import Recorder


def six(record: Recorder) -> list[Run]:
    return [record(name, good=i) for i, name in enumerate(("base", "rag", "tam", "oppu", "cope"))]


def test_five_sentences_that_are_computed_come_first(record: Recorder) -> None:
    runs = six(record)
    text = page_of(runs, 1)
    answer = text[text.index('<section id="answer">') : text.index("</section>")]
    assert len(re.findall("<li>", answer)) == 5
    board = arrange(runs).board
    setup = main_setup(board)
    assert setup is not None
    found = takeaways(board, setup)
    said = [unescape(one) for one in re.findall(r"<li><b>(.*?)</b>", answer)]
    assert said == [one.question for one in [*found[:4], found[-1]]]
    assert text.index('<section id="answer">') < text.index("<table")
    (why,) = re.findall(r'id="[\w.-]+-why"', text)
    assert text.index("<table") < text.index(why) < text.index("<svg")


def test_runs_without_the_papers_methods_have_no_answer(record: Recorder) -> None:
    assert 'id="answer"' not in page_of([record("mine", task="other")], 1)


def test_every_section_table_and_plot_has_a_link_to_itself(record: Recorder) -> None:
    page = built(*six(record))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    text = page_of(six_again(record), 1)
    linked = re.findall(r'class="permalink" href="#([^"]+)"', text)
    assert set(linked) <= set(re.findall(r' id="([^"]+)"', text))
    headings = re.findall(r"<h[23][ >].*?</h[23]>", text)
    assert headings and all('class="permalink"' in heading for heading in headings)
    assert all(
        'class="permalink"' in one for one in re.findall("<figcaption>.*?</figcaption>", text)
    )


def six_again(record: Recorder) -> list[Run]:
    return [record(name, seed=1, good=4) for name in ("base", "oppu", "cope")]


def test_permalinks_stay_when_other_models_are_recorded(record: Recorder) -> None:
    def pick(text: str) -> set[str]:
        return set(re.findall(r' id="([\w.-]+-leaderboard)"', text))

    ours = record("base")
    alone = pick(page_of([ours], 1))
    more = [ours, record("base", model="another", key="x"), record("base", model="0first", key="y")]
    assert len(alone) == 1 and alone < pick(page_of(more, 1))


def test_slugs() -> None:
    assert slug("ROUGE-L") == "rouge-l"
    assert slug("†") == "x"
