"""The page of the recorded runs, and of ten times as many: its size, and how long it takes to open.

In place of each run there are five models with two seeds.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lampbench.record.runs import load_runs
from lampbench.report.page.build import encoded, report_files
from lampbench.report.page.two_files import PAGE_BYTES
from tests.report.page.browsing import example_is_shown, wait
from tests.report.page.parsed import page_of

ROOT = Path(__file__).resolve().parents[3]
MODELS, SEEDS = 5, 2


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Both files of ten times the recorded runs, each with a folder and a key of its own."""
    folder = tmp_path_factory.mktemp("ten")
    runs = []
    for number in range(MODELS * SEEDS):
        copy = folder / str(number)
        copy.symlink_to(ROOT / "results")
        model, seed = divmod(number, SEEDS)
        runs += [
            replace(run, manifest=replace(
                run.manifest, seed=run.manifest.seed + 100 * seed,
                key=f"{run.manifest.key[:-1]}{number}",
                model=run.manifest.model + (f"-{model}" if model else ""),
            ))
            for run in load_runs(copy)[0]
        ]  # fmt: skip
    return len(runs), report_files(runs, 12)


def test_the_page_has_at_most_two_megabytes_and_nothing_is_lost(files):
    runs, (page, second) = files
    assert PAGE_BYTES == 2_000_000
    assert 1_000_000 < len(encoded(page)) <= PAGE_BYTES
    both = page + second
    assert both.count('<details class="run"') == runs
    setups = set(re.findall('<section class="setup" id="(.*?)"', page))
    assert len(setups) >= 3 * MODELS
    for kind in ("examples", "manifests"):
        assert both.count(f'class="{kind}" data-name=') >= len(setups)
    for identifier in setups:
        for place in ("leaderboard", "paired", "users"):
            assert both.count(f'<h3 id="{identifier}-{place}"') == 1
    links = re.findall(r'href="report-comparisons\.html#(.*?)"', page)
    assert links and all(f'id="{anchor}"' in second for anchor in links)


@pytest.mark.parametrize("times", [1, 10])
def test_it_opens_in_less_than_a_second(driver, files, tmp_path, times):
    """Processor time of the page's thread: how busy the machine is does not count."""
    text = files[1][0] if times == 10 else page_of(load_runs(ROOT / "results")[0], 12)
    file = tmp_path / "page.html"
    file.write_bytes(encoded(text))
    driver.get("about:blank")
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = busy(driver)
    driver.get(file.as_uri())
    wait(driver, example_is_shown)
    spent = busy(driver) - before
    driver.execute_cdp_cmd("Performance.disable", {})
    assert 0 < spent < 1, f"{spent:.3f} s"


def busy(driver):
    """Seconds of processor time that the page's thread has taken."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")
