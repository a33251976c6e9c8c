"""The page in a browser, opened from disk: it sorts, filters, opens, switches, and asks nobody."""

import json
import shutil
from pathlib import Path

import pytest
from exhibition import HOSTILE, write_place

from dml_bench.ledger.answers import Section as Question
from dml_bench.pages import page
from dml_bench.pages.sections import sections
from dml_bench.results import finished_runs

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="expected Chromium and its driver, found not both"
)
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root in a container has none
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1400,900",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    write_place(root)
    results = root / "results"
    written = page.write(finished_runs(results), results, data_root=root / "data")
    return written[-1].as_uri()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, address):
    """The page as it is when opened, at 1400 pixels; what it said on the console is looked at."""
    size(browser, 1400)
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get(address)
    yield browser
    errors = [one for one in browser.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
    assert errors == []


def size(browser, width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def one(within, selector):
    return within.find_element(By.CSS_SELECTOR, selector)


def every(within, selector):
    return within.find_elements(By.CSS_SELECTOR, selector)


def shown(elements):
    return [element for element in elements if element.is_displayed()]


def heading(browser, name):
    return one(browser, f'th[data-name="{name}"]')


def column(browser, name):
    """The texts of the rows that are shown, from above."""
    at = [head.get_attribute("data-name") for head in every(browser, "thead th")].index(name)
    rows = shown(every(browser, ".results tbody tr"))
    return [every(row, "td")[at].text for row in rows]


def number(text):
    return float(text.split()[0])


def test_a_column_of_numbers_is_sorted_largest_first_and_then_turned(opened):
    button = one(heading(opened, "recall@1"), "button")
    button.click()
    found = [number(text) for text in column(opened, "recall@1")]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 2
    assert heading(opened, "recall@1").get_attribute("aria-sort") == "descending"
    button.click()
    assert [number(text) for text in column(opened, "recall@1")] == sorted(found)
    assert heading(opened, "recall@1").get_attribute("aria-sort") == "ascending"


def test_a_column_is_sorted_by_key(opened):
    one(heading(opened, "method"), "button").send_keys(Keys.ENTER)
    assert column(opened, "method")[0].startswith("invaspread")
    one(heading(opened, "method"), "button").send_keys(Keys.SPACE)
    assert column(opened, "method")[0] == "random"
    one(heading(opened, "seeds"), "button").send_keys(Keys.ENTER)
    assert heading(opened, "method").get_attribute("aria-sort") == "none"


def test_what_has_no_number_stays_below(opened):
    for _ in range(2):
        one(heading(opened, "recall@1 (published)"), "button").click()
        assert column(opened, "method")[-1] == "random"


def test_words_filter_rows(opened):
    field = one(opened, ".filter")
    field.send_keys("INVA 0.5")
    assert column(opened, "method") == ["invaspread (temperature=0.5)"]
    assert one(opened, ".count").text == "1 of 4 rows"
    field.clear()
    field.send_keys("nothing like that")
    assert column(opened, "method") == []


def test_a_choice_filters_rows(opened):
    one(opened, '.choice[data-column="supervision"] option:nth-child(2)').click()
    assert column(opened, "supervision") == ["none"]


def test_a_column_is_shown_when_asked_for(opened):
    assert not heading(opened, "batch").is_displayed()
    one(opened, ".columns summary").send_keys(Keys.ENTER)
    label = next(e for e in every(opened, ".columns label") if e.text.strip() == "batch")
    one(label, "input").send_keys(Keys.SPACE)
    assert heading(opened, "batch").is_displayed()
    one(label, "input").send_keys(Keys.ESCAPE)
    assert one(opened, ".columns").get_attribute("open") is None


def test_a_narrow_screen_shows_what_was_reached_first(opened, address):
    assert heading(opened, "supervision").is_displayed()
    size(opened, 390)
    opened.get(address)
    shown_names = [head.get_attribute("data-name") for head in shown(every(opened, "thead th"))]
    assert shown_names[:2] == ["method", "recall@1"]
    box = one(opened, ".columns input[data-setup]")
    one(opened, ".columns summary").click()
    box.click()
    assert box.is_selected()


def faded(browser):
    """Whether the table's right edge fades."""
    script = "return getComputedStyle(document.querySelector('.part .scroll')).maskImage"
    return browser.execute_script(script) != "none"


def test_a_table_that_goes_on_beyond_its_edge_fades_there(opened):
    size(opened, 390)
    wait(opened, faded)
    script = "const s = document.querySelector('.part .scroll'); s.scrollLeft = s.scrollWidth"
    opened.execute_script(script)
    wait(opened, lambda browser: not faded(browser))


def wait(browser, until):
    WebDriverWait(browser, 10).until(until)


def test_the_gallery_opens_and_its_pictures_are_drawn(opened):
    run = shown(every(opened, ".closeup"))[0]
    galleries = every(run, ".gallery")
    hubs = next(g for g in galleries if one(g, "summary").text == "Hubs")
    assert shown(every(hubs, ".tile")) == []
    one(hubs, "summary").send_keys(Keys.ENTER)
    pictures = shown(every(hubs, ".tile .pic"))
    assert len(pictures) > 8
    styles = [style(opened, picture) for picture in pictures]
    assert all(drawn.startswith('url("data:image/webp') for drawn, _ in styles)
    places = {place for _, place in styles}
    assert len(places) > 3  # different pictures are different parts of the sheet


def style(browser, picture):
    """What a picture is cut from, and where."""
    script = "const s = getComputedStyle(arguments[0]);"
    script += "return [s.backgroundImage, s.backgroundPosition]"
    return browser.execute_script(script, picture)


def test_one_run_is_looked_at_at_a_time(opened):
    names = [option.text for option in every(opened, ".run option")]
    assert len(names) == 4
    one(opened, ".run option:nth-child(3)").click()
    (run,) = shown(every(opened, ".closeup"))
    assert one(run, ".run-title").text == names[2]


def test_the_map_shows_an_image_where_it_is_pointed_at(opened):
    point = shown(every(opened, ".map use"))[5]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    webdriver.ActionChains(opened).move_to_element(point).perform()
    card = shown(every(opened, ".card"))[0]
    assert one(card, ".name").text in {HOSTILE, *(f"bar {n}" for n in range(3, 8))}
    assert "nearest is of" in one(card, ".verdict").text
    assert "none" not in one(card, ".pic").get_attribute("class").split()


def test_the_map_is_walked_by_the_arrow_keys(opened):
    chart = shown(every(opened, ".map svg"))[0]
    card = shown(every(opened, ".card"))[0]
    seen = []
    for key in (Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_RIGHT):
        chart.send_keys(key)
        seen.append(one(card, ".id").text)
    assert "" not in seen
    assert len(set(seen)) > 1


def background(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_the_theme_is_switched_and_remembered(opened, address):
    button = one(opened, "#theme")
    light = background(opened)
    assert button.text == "Dark theme"
    button.send_keys(Keys.ENTER)
    assert background(opened) != light
    assert button.text == "Light theme"
    opened.get(address)
    assert background(opened) != light


def test_the_theme_follows_the_system_until_a_person_chooses(opened, address):
    light = background(opened)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert background(opened) != light
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


COLOURS = """
const bytes = (colour) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const text = getComputedStyle(document.querySelector(arguments[0]));
return [text.color, getComputedStyle(document.body).backgroundColor].map(bytes);
"""


def contrast(browser, selector):
    """The contrast of a text with its page, as WCAG 2 defines it."""
    colours = browser.execute_script(COLOURS, selector)
    light = []
    for colour in colours:
        parts = [value / 255 for value in colour[:3]]
        parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        light.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_in_both_themes(opened, theme):
    opened.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    for selector in ("h1", ".muted", ".note", "th button", ".brand", ".plot text"):
        assert contrast(opened, selector) >= 4.5, selector


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_no_width_makes_the_page_scroll_sideways(opened, width):
    size(opened, width)
    for summary in every(opened, ".closeup:not([hidden]) summary, .entry summary"):
        opened.execute_script("arguments[0].parentElement.open = true", summary)
    wide = opened.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width


def test_what_the_tabulator_reaches_shows_that_it_has_the_focus(opened):
    body = one(opened, "body")
    body.send_keys(Keys.TAB)
    reached = []
    for _ in range(14):
        focused = opened.switch_to.active_element
        style = opened.execute_script(
            "return getComputedStyle(arguments[0]).outlineStyle", focused)  # fmt: skip
        assert style != "none", focused.get_attribute("outerHTML")
        reached.append(focused.tag_name)
        focused.send_keys(Keys.TAB)
    assert {"a", "button", "input", "select", "summary"} <= set(reached)


def test_a_hostile_name_runs_nothing(opened):
    assert opened.execute_script("return document.images.length") == 0
    with pytest.raises(Exception, match="no such alert"):
        opened.switch_to.alert.accept()


def test_the_page_asks_no_network_for_anything(browser, address):
    browser.get_log("performance")  # forget what was before
    browser.get(address)
    for summary in every(browser, ".gallery summary"):
        browser.execute_script("arguments[0].parentElement.open = true", summary)
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages
             if m["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert address in asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert [url for url in asked if url.startswith("file:")] == [address]


def test_another_script_than_ours_is_not_run(browser, address, tmp_path):
    text = Path(address.removeprefix("file://")).read_text(encoding="utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace("</footer>", "</footer><script>window.bad = 1</script>"))
    browser.get(changed.as_uri())
    assert browser.execute_script("return window.bad") is None
    browser.get_log("browser")  # it says that it refused, as it should


@pytest.fixture
def ledger(browser, tmp_path):
    """A page of records and of what a ledger says of them, with a table that is wide."""
    results = tmp_path / "results"
    write_place(tmp_path)
    records = finished_runs(results)
    links = " ".join(f"[s0](records/{record.recipe.key}/result.json)" for record in records)
    row = " | ".join(["some words of a cell that is wide"] * 8)
    lines = [f"- One against another: **holds**. Runs: {links}.", "", f"| {row} |",
             f"|{' --: |' * 8}", f"| {row} |"]  # fmt: skip
    found = sections([], results, records, data_root=None)
    path = tmp_path / "ledger.html"
    path.write_text(
        page.html(found, [Question("Who wins?", notes=["One wins: **holds**."], after=lines)])
    )
    size(browser, 1400)
    browser.get(path.as_uri())
    return browser


def test_an_answer_leads_to_its_runs_and_they_to_their_records(ledger):
    (answer,) = shown(every(ledger, "#ledger a[href$='#ledger-who-wins']"))
    assert shown(every(ledger, "#ledger .entry li, .run-record")) == []
    answer.click()
    links = shown(every(ledger, "#ledger .entry a"))
    assert len(links) == 5
    links[0].click()
    (record, *_) = shown(every(ledger, ".run-record"))
    assert record.get_attribute("id") == links[0].get_attribute("href").partition("#")[2]
    assert ledger.get_log("browser") == []


def test_an_address_that_names_a_question_opens_it(ledger):
    address = ledger.current_url
    ledger.get("about:blank")
    ledger.get(f"{address}#ledger-who-wins")
    wait(ledger, lambda browser: shown(every(browser, "#ledger .entry table")))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_wide_table_of_the_ledger_scrolls_in_its_box(ledger, theme):
    ledger.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    one(ledger, "#ledger-who-wins summary").click()
    size(ledger, 390)
    box = one(ledger, "#ledger .scroll")
    assert ledger.execute_script("return document.documentElement.scrollWidth") <= 390
    assert int(box.get_property("scrollWidth")) > int(box.get_property("clientWidth"))
    for selector in ("#ledger th", "#ledger td", "#ledger h4", "#ledger .entry a"):
        assert contrast(ledger, selector) >= 4.5, selector
