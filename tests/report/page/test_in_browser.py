"""The page in a real browser: Chromium, without a network and without a server."""

import re

import pytest

from lampbench.report.page.build import encoded, report_files
from tests.report.page.browsing import example_is_shown, texts, wait
from tests.report.page.parsed import page_of

MINUS = "\N{MINUS SIGN}"
HOSTILE = '</script><img src=x onerror="hacked=1"><script>hacked=1</script>\u2028\u202ekrowten'


@pytest.fixture
def opened(driver, tmp_path):
    """A function that opens the page of some runs; the browser may not complain about it."""

    def show(*runs, width=1280, height=900, **media):
        features = [{"name": k.replace("_", "-"), "value": v} for k, v in media.items()]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        file = tmp_path / "page.html"
        file.write_bytes(encoded(page_of(runs, 12)))
        driver.get(file.as_uri())
        wait(driver, example_is_shown)
        return driver

    driver.get_log("browser")
    yield show
    assert driver.get_log("browser") == []


def find(driver, selector):
    return driver.find_element("css selector", selector)


def click(driver, selector):
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(driver, selector))
    find(driver, selector).click()


def open_manifest(driver):
    click(driver, "[data-manifests] details.run summary")
    # the browser tells of opening a little later
    wait(driver, lambda page: texts(page, "[data-manifests] [open] td"))


@pytest.fixture
def three(record):
    """Runs of three methods on one task, the middle one best, and of one on another task."""
    return [
        record("base", good=2),
        record("oppu", good=8),
        record("cope", good=5),
        record("cope", task="review_writing"),
    ]


def test_headings_sort_and_say_how(opened, three):
    page = opened(*three)
    rows, head = (
        "[id$=-leaderboard] ~ .metric .scroll tbody th",
        "[id$=-leaderboard] ~ .metric th:nth-child(3)",
    )
    before = texts(page, rows)[:3]
    assert before == ["Base", "OPPU", "CoPe"]
    click(page, f"{head} button")
    assert texts(page, rows)[:3] == ["OPPU", "CoPe", "Base"]
    assert find(page, head).get_attribute("aria-sort") == "descending"
    find(page, f"{head} button").send_keys("\ue007")  # Enter
    assert texts(page, rows)[:3] == ["Base", "CoPe", "OPPU"]
    assert find(page, head).get_attribute("aria-sort") == "ascending"
    other = head.replace("(3)", "(2)")
    for direction in ("descending", "ascending"):
        click(page, f"{other} button")
        assert find(page, other).get_attribute("aria-sort") == direction
        assert texts(page, rows)[0] == "CoPe"  # cells that say "no run" come last
    assert find(page, head).get_attribute("aria-sort") is None


def test_hostile_texts_are_shown_as_they_are(opened, record, amend, asked):
    run = record("cope", method_title=HOSTILE, task_title=HOSTILE, command=HOSTILE,
                 hyperparameters={HOSTILE: {"value": HOSTILE, "source": HOSTILE}})  # fmt: skip

    def change(row):
        return {
            "user": row.user + HOSTILE,
            "prediction": HOSTILE,
            "reference": HOSTILE if row.query == "2" else "none",
            "tokens": [HOSTILE],
            "rewards": [1.0],
            "quoted": [HOSTILE],
        }

    run = asked(amend(run, change), {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE})
    page = opened(run, width=390, height=844)
    open_manifest(page)
    for _ in range(2):
        assert texts(page, "article.card > .text") == [HOSTILE]
        click(page, "[name=next]")
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    assert page.execute_script("return typeof hacked") == "undefined"
    assert texts(page, "img") == []
    assert texts(page, ".card h3 bdi") == [HOSTILE]
    assert texts(page, "article.card > .text") == [HOSTILE]
    assert texts(page, ".strip bdi") == [HOSTILE]
    assert texts(page, "#example > .card:first-child > *") == ["Query", HOSTILE, HOSTILE]
    click(page, ".card details summary")
    assert texts(page, ".card details li") == [HOSTILE]
    assert HOSTILE in texts(page, "details.run td bdi")
    assert page.execute_script("return document.title") == "lampbench report"


def test_right_to_left_text_does_not_turn_what_is_around_it(opened, record, amend):
    run = amend(record("cope"), lambda row: {"prediction": "שלום עולם w0"})
    page = opened(run)
    direction = "return getComputedStyle(document.querySelector(arguments[0])).direction"
    assert page.execute_script(direction, "article.card > .text") == "rtl"
    assert page.execute_script(direction, "article.card") == "ltr"


def test_examples_can_be_walked_through(opened, three):
    page = opened(*three)
    assert texts(page, ".card h3") == ["Reference", "CoPe"]
    find(page, ".browse select[name=task]").send_keys("N")  # News Headline
    assert texts(page, ".card h3") == ["Reference", "Base", "OPPU", "CoPe"]
    assert [len(texts(page, f".card:nth-child({i}) mark")) for i in (1, 2, 3)] == [2, 8, 5]
    assert not find(page, "[name=back]").is_enabled()
    first = texts(page, "#where")
    click(page, "[name=next]")
    assert texts(page, "#where") != first
    click(page, "[name=next]")
    assert not find(page, "[name=next]").is_enabled()
    assert not find(page, "#pick-setup").is_displayed()
    assert "History in the prompt: none." in texts(page, ".card .facts")


def test_rewards_are_a_strip_of_numbers_and_rules(opened, record, amend):
    extra = {"tokens": ["Help", "\n us"], "rewards": [0.5, -1.25]}
    page = opened(amend(record("cope"), lambda row: extra))
    assert texts(page, ".strip small") == ["+0.50", "\N{MINUS SIGN}1.25"]
    assert texts(page, ".strip bdi") == ["Help", "↵ us"]
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    rules = [
        page.execute_script(style, f".strip li:nth-child({i})", "borderBottomStyle") for i in (1, 2)
    ]
    assert rules == ["solid", "dashed"]
    share = "return document.querySelector('.strip li').style.getPropertyValue('--share')"
    assert page.execute_script(share) == "0.400"


def test_a_manifest_opens(opened, three):
    page = opened(*three)
    assert texts(page, "details.run td") == []
    open_manifest(page)
    cells = texts(page, "details.run[open] td")
    assert cells[cells.index("decoding.alpha") :][:3] == ["decoding.alpha", "0.3", "paper 4.1"]
    assert "cope-0" in cells


def test_on_a_phone_the_page_fits_and_tables_scroll_inside(opened, record):
    tasks = [f"a_task_with_a_long_name_{i}" for i in range(6)]
    page = opened(*[record("cope", task=task, good=i) for i, task in enumerate(tasks)],
                  width=390, height=844)  # fmt: skip
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    box = find(page, "[id$=-leaderboard] ~ .metric .scroll")
    inside, seen = (page.execute_script(f"return arguments[0].{w}Width", box)
                    for w in ("scroll", "client"))  # fmt: skip
    assert inside > seen
    page.execute_script("arguments[0].scrollLeft = 200", box)
    place = page.execute_script(
        "return arguments[0].querySelector('tbody th').getBoundingClientRect().left", box
    )
    assert 0 <= place < 30


def channels(colour):
    values = [int(colour.strip().lstrip("#")[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def contrast(one, other):
    """WCAG 2.2: relative luminances, the lighter over the darker."""
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (channels(one), channels(other))]
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(opened, record, scheme):
    page = opened(record("cope"), prefers_color_scheme=scheme)
    read = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0])"
    colour = {
        name: page.execute_script(read, f"--{name}")
        for name in ("paper", "raised", "ink", "quiet", "accent", "mark", "for", "against", "tint")
    }
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    found = [int(value) for value in re.findall(r"\d+", background)[:3]]
    assert "#{:02x}{:02x}{:02x}".format(*found) == colour["paper"]
    for text, ground in [
        ("ink", "paper"), ("ink", "raised"), ("quiet", "paper"), ("quiet", "raised"),
        ("accent", "paper"), ("ink", "mark"), ("ink", "for"), ("ink", "against"),
    ]:  # fmt: skip
        assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    assert contrast(colour["accent"], colour["tint"]) >= 3


def test_every_control_can_be_reached_by_keyboard(opened, three):
    page = opened(*three)
    from selenium.webdriver import ActionChains, Keys

    reached = []
    for _ in range(60):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.execute_script(
            "const e = document.activeElement; return e.name || e.className || e.tagName"
        ))  # fmt: skip
    assert reached[0] == "skip"
    assert {"scroll", "SUMMARY", "task", "query", "next", "BUTTON"} <= set(reached)


def visible_rows(page, selector):
    script = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter(e => e.offsetParent !== null).map(e => e.textContent)"
    )
    return page.execute_script(script, selector)


def choose(page, name, value):
    from selenium.webdriver.support.ui import Select

    Select(find(page, name)).select_by_visible_text(value)


def test_one_metric_is_shown_at_a_time(opened, three):
    page = opened(*three)
    assert visible_rows(page, ".metric h4") == ["ROUGE-L#"]
    click(page, ".switch label:nth-of-type(2)")
    assert visible_rows(page, ".metric h4") == ["ROUGE-1#"]
    assert len(visible_rows(page, ".metric table")) == 1


def test_task_and_method_are_filtered(opened, three):
    page = opened(*three)
    rows, heads = ".metric tbody th", ".metric thead bdi"
    assert visible_rows(page, rows) == ["Base", "OPPU", "CoPe"]
    choose(page, ".filters [name=method]", "OPPU")
    assert visible_rows(page, rows) == ["OPPU"]
    choose(page, ".filters [name=task]", "News Headline")
    assert visible_rows(page, heads) == ["Method", "News Headline"]
    titles = visible_rows(page, "figcaption bdi")
    assert titles and all(title.startswith("News Headline") for title in titles)
    assert all("OPPU, News Headline" in one for one in visible_rows(page, "details.run summary"))
    choose(page, ".filters [name=method]", "all")
    choose(page, ".filters [name=task]", "all")
    assert visible_rows(page, rows) == ["Base", "OPPU", "CoPe"]


def test_a_model_is_filtered(opened, record):
    page = opened(record("base"), record("base", model="another", key="x"))
    assert len(visible_rows(page, "section.setup > h2")) == 2
    choose(page, ".filters [name=model]", "another")
    (title,) = visible_rows(page, "section.setup > h2")
    assert title.startswith("another")


def test_a_link_opens_its_example(opened, three):
    page = opened(*three)
    choose(page, ".browse [name=task]", "News Headline")
    click(page, "[name=next]")
    where = texts(page, "#where")
    link = find(page, "#example-link").get_attribute("href")
    page.get("about:blank")
    page.get(link)
    assert texts(page, "#where") == where
    page.execute_script("location.hash = '#example=a&b&c&d'")
    wait(page, lambda p: "not on this page" in texts(p, "#where")[0])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened, three, amend, scheme):
    """axe-core, the accessibility checker; the extra `docs` brings it."""
    import importlib.resources

    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python: make site")
    source = importlib.resources.files(axe).joinpath("axe.min.js").read_text("utf-8")
    extra = {"tokens": ["Help", " us"], "rewards": [0.5, -1.25]}
    *others, last = three
    page = opened(*others, amend(last, lambda row: extra), prefers_color_scheme=scheme)
    open_manifest(page)
    page.execute_script(source)
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run().then(r => done(r.violations), e => done([String(e)]))"
    )
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []


@pytest.fixture
def compared(driver, tmp_path):
    """A function that opens the file of comparisons of some runs."""

    def show(*runs, anchor=""):
        file = tmp_path / "report-comparisons.html"
        file.write_bytes(encoded(report_files(runs, 12)[1]))
        driver.get("about:blank")
        driver.get(file.as_uri() + anchor)
        wait(driver, lambda page: texts(page, "#summary") not in ([], [""]))
        return driver

    driver.get_log("browser")
    yield show
    assert driver.get_log("browser") == []


@pytest.fixture
def two(scored):
    """Two methods on four queries of two users: differences in ROUGE-L of 0.3, 0.1, 0 and -0.2."""
    return [
        scored("base", {"ann": [0.2, 0.4], "bob": [0.6, 0.8]}),
        scored("cope", {"ann": [0.8, 0.6], "bob": [0.6, 0.4]}),
    ]


def test_two_methods_are_compared_over_all_queries_in_order_of_difference(compared, two):
    page = compared(*two)
    assert texts(page, "#queries summary b") == ["+0.300", "+0.100", "+0.000", f"{MINUS}0.200"]
    (said,) = texts(page, "#summary")
    assert said == ("4 queries, mean difference +0.050: better for 2, equal for 1, worse for 1.")
    choose(page, "[name=order]", "largest losses")
    wait(page, lambda p: texts(p, "#queries summary b")[0] == f"{MINUS}0.200")
    click(page, "#queries summary")
    wait(page, lambda p: texts(p, ".answers .text"))
    assert texts(page, ".answers h3") == ["CoPe", "Base"]
    assert texts(page, ".answers .text") == ["cope to 1", "base to 1"]
    choose(page, "[name=ours]", "Base")
    choose(page, "[name=theirs]", "CoPe")
    wait(page, lambda p: f"mean difference {MINUS}0.050" in texts(p, "#summary")[0])


def test_a_link_opens_its_comparison(compared, two):
    page = compared(*two)
    choose(page, "[name=ours]", "Base")
    wait(page, lambda p: "mean difference +0.000" in texts(p, "#summary")[0])
    link = find(page, "#link").get_attribute("href")
    page = compared(*two, anchor=link[link.index("#") :])
    assert find(page, "[name=ours]").get_attribute("value") == "0"
    assert "mean difference +0.000" in texts(page, "#summary")[0]


def test_hostile_texts_are_compared_as_texts(compared, two, amend):
    (base, cope) = two
    hostile = amend(cope, lambda row: {"prediction": HOSTILE})
    page = compared(base, hostile)
    for place in range(4):
        opening = "document.querySelectorAll('#queries details')[arguments[0]].open = true"
        page.execute_script(opening, place)
    wait(page, lambda p: HOSTILE in texts(p, ".answers .text"))
    assert page.execute_script("return window.hacked") is None


def test_what_does_not_fit_the_page_is_in_the_second_file(driver, tmp_path, three):
    page, second = report_files(three, 12, largest=0)
    for name, text in (("report.html", page), ("report-comparisons.html", second)):
        (tmp_path / name).write_bytes(encoded(text))
    driver.get((tmp_path / "report.html").as_uri())
    assert texts(driver, "#answer li") and not texts(driver, "table")
    click(driver, "section.setup a[href^='report-comparisons']")
    wait(driver, lambda p: p.current_url.rpartition("/")[2].startswith("report-comparisons.html#"))
    wait(driver, lambda p: texts(p, "#where") not in ([], [""]))
    assert visible_rows(driver, ".metric h4") == ["ROUGE-L#"]
    open_manifest(driver)
    choose(driver, ".examples [name=task]", "News Headline")
    assert texts(driver, "#example .card h3") == ["Reference", "Base", "OPPU", "CoPe"]
    assert driver.get_log("browser") == []
