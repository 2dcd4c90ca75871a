"""The results page in a real browser: what is drawn, clicked, typed, slid and linked; skipped where there is none."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from sc2.commands.report import write_report
from sc2.measure.channel import Channel, Side, Split, break_even
from sc2.measure.resampling import NO_INTERVAL
from sc2.page.marks import DARK_PAGE, LIGHT_PAGE, contrast
from tests import results_tree
from tests.results_tree import FRAME, PER_BYTE, POINTS, TIMED, sizes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium with chromedriver (Debian: chromium-driver)"
)
WAIT_S = 20
OLD = ("top1_pct_low", "top1_pct_high", "timed_bytes_p50", "loaded", "session_bytes_mean")
"""Columns that the tables of older snapshots lack."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two small benchmarks."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("b", "c"):
            results_tree.write(Path("results"), name)
        results_tree.model(Path("results"))
        results_tree.snapshot(Path("reference"), "s", OLD)
        write_report(Path("results"), Path("index.html"), reference=Path("reference"))
    return folder / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that may reach no network."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    words = (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "window-size=1280,1000",
        "host-resolver-rules=MAP * ~NOTFOUND",
    )
    for word in words:
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=ChromeService(DRIVER)) as driver:
        driver.downloads = downloads  # type: ignore[attr-defined]
        yield driver


class Page:
    """The page in the browser."""

    def __init__(self, browser: Chrome, path: Path) -> None:
        self.browser, self.path = browser, path

    def go(self, view: str = "") -> "Page":
        """Open a view anew."""
        self.browser.get("about:blank")
        self.browser.get(f"{self.path.as_uri()}{'#' if view else ''}{view}")
        return self.settled()

    def settled(self) -> "Page":
        """Wait until the charts of all shown tasks are drawn."""
        script = (
            "return document.readyState === 'complete' && document.querySelectorAll('.chart').length > 0 && "
            "[...document.querySelectorAll('.chart')].every((c) => c.querySelector('svg, .empty'))"
        )
        WebDriverWait(self.browser, WAIT_S).until(lambda driver: driver.execute_script(script))
        # A frame after the last change has been drawn.
        self.browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 20))")
        return self

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def click(self, selector: str) -> "Page":
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()
        return self.settled()

    def choose(self, selector: str, value: str) -> "Page":
        Select(self.find(selector)).select_by_value(value)
        return self.settled()

    def state(self) -> dict[str, Any]:
        told = self.browser.execute_script("return JSON.stringify(sc2.state)")
        found: dict[str, Any] = json.loads(told)
        return found

    def marks(self) -> list[Any]:
        """The points of the charts."""
        return self.all(".mark-symbol.role-mark path")

    def drawn(self) -> list[str]:
        """What the points of the charts are called."""
        script = "return [...document.querySelectorAll('.mark-symbol.role-mark path')].map((p) => p.ariaLabel)"
        labels: list[str] = self.browser.execute_script(script)
        return labels


@pytest.fixture
def page(browser: Chrome, written: Path) -> Iterator[Page]:
    """The page, opened; afterwards, nothing may have gone wrong in it."""
    browser.get_log("browser")
    browser.set_window_size(1280, 1000)
    yield Page(browser, written).go()
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


ALL = {
    *("WebP q=10", "WebP q=50", "WebP q=90", "Entropic <Student> β=1", "Entropic <Student> β=4", "Local model width 8"),
}


def test_every_point_is_drawn_and_methods_and_families_are_toggled(page: Page) -> None:
    published = {label for label in page.drawn() if "published" in label}
    assert {*page.drawn()} - published == ALL
    assert len(published) == 2
    page.click("#published")
    assert {*page.drawn()} == ALL
    page.click("#method-webp")
    assert {label.split(" q=")[0] for label in page.drawn()} == {label for label in ALL if "WebP" not in label}
    assert page.find("#legend-count").text == "2 of 3"
    page.click("#family-student")
    assert page.drawn() == ["Local model width 8"]
    page.click("#none")
    assert "Nothing to draw" in page.find(".chart").text
    page.click("#all")
    assert {*page.drawn()} == ALL


def test_tasks_are_shown_side_by_side(page: Page) -> None:
    assert page.texts(".chart figcaption") == ["Digits b · classification, 200 test images, teacher 90 %"]
    page.click("#task-c")
    assert [text.split(" ·")[0] for text in page.texts(".chart figcaption")] == ["Digits b", "Digits c"]
    page.click("#task-b").click("#task-c")
    assert len(page.all(".chart")) == 1, "the last task cannot be switched off"


def test_an_axis_is_logarithmic_or_linear_and_intervals_come_and_go(page: Page) -> None:
    def places() -> list[float]:
        marks = [mark for mark in page.marks() if mark.get_attribute("aria-label").startswith("WebP q")]
        return sorted(mark.rect["x"] for mark in marks)

    low, middle, high = places()
    assert high - middle == pytest.approx(middle - low, abs=2), "300, 600 and 1200 bytes: equal steps"
    page.choose("#x", "linear")
    low, middle, high = places()
    assert high - middle == pytest.approx(2 * (middle - low), rel=0.03)
    assert page.all(".mark-rule.role-mark line[stroke-width='1.6']")
    page.click("#bands")
    assert not page.all(".mark-rule.role-mark line[stroke-width='1.6']")
    assert page.state()["bands"] == "off"


def test_a_click_opens_a_point_with_its_trace_and_command(page: Page) -> None:
    [mark] = [mark for mark in page.marks() if mark.get_attribute("aria-label") == "WebP q=50"]
    page.browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", mark)
    dialog = page.find("dialog")
    assert dialog.get_attribute("open")
    assert "WebP q=50 on Digits b" in dialog.text
    assert "snakemake --cores all --force results/evaluate/b/webp/50/seed0/summary.json" in dialog.text
    assert "file results/raw.txt" in dialog.text
    assert page.state()["point"] == "b/webp/50"
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(page.browser, WAIT_S).until(lambda _: page.state()["point"] == "")


def test_the_keyboard_goes_through_a_chart(page: Page) -> None:
    plot = page.find(".plot")
    plot.send_keys(Keys.ARROW_RIGHT)
    assert "WebP q=10" in page.find("#tip").text
    plot.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    tip = page.find("#tip").text
    assert "Entropic <Student> β=1" in tip
    assert "200" in tip
    assert "Entropic <Student> β=1: " in page.browser.execute_script(
        "return document.querySelector('.chart [role=status]').textContent"
    )
    assert page.find(".ring").is_displayed()
    plot.send_keys(Keys.ENTER)
    assert "Entropic <Student> β=1 on Digits b" in page.find("dialog").text
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)


def split(method: str, point: str) -> Split:
    size, *_, device, server = POINTS[method, point]
    packets = [float(one + FRAME) for one in sizes(size)]
    timed = [packets[index] for index in TIMED]
    rises = PER_BYTE.get((method, point), (0.0, 0.0))
    one, two = (Side(ms, NO_INTERVAL, rise) for ms, rise in zip((device, server), rises, strict=True))
    return Split(one, two, np.array(packets), server == 0, float(np.median(timed)), min(timed))


def test_the_browser_computes_what_python_does(page: Page) -> None:
    """Latency, percentiles, misses and break-even of every point, over channels and deadlines."""
    script = """
        const [rate, rtt, deadline] = arguments, channel = { rate, rtt, slow: 1 };
        return sc2.content.benchmarks[0].curves.flatMap((c) => c.points).map((p) => [
          p.curve.method, p.point, sc2.latency(p, channel), sc2.latency(p, channel, "95"),
          sc2.missed(p, channel, deadline)]);
    """
    for channel, deadline in (
        (Channel(37.5, 1000.0), 1090.0),
        (Channel(500.0, 0.0), 7.5),
        (Channel(6000.0, 70.0), 73.4),
    ):
        rows = page.browser.execute_script(script, channel.kbit_s, channel.rtt_ms, deadline)
        assert len(rows) == len(POINTS)
        for method, point, mean, p95, missed in rows:
            latency = split(method, point).latency_ms(channel)
            assert mean == pytest.approx(latency.mean(), rel=1e-6)
            assert p95 == pytest.approx(sorted(latency)[189] * 0.95 + sorted(latency)[190] * 0.05, rel=1e-4)
            assert missed == pytest.approx(100 * (latency > deadline).mean())
    text = page.find("#pair .even").text
    rate = break_even(split("entropic_student", "1"), split("webp", "50"), 70.0).kbit_s
    assert f"is faster below {rate / 1000:.2f} Mbit/s" in text


def late(page: Page) -> dict[str, str]:
    """The share of images that miss the deadline, by method, as the table below the charts has it."""
    rows = page.all("#modelled tbody tr")
    return {row.find_element(By.TAG_NAME, "th").text: row.find_elements(By.TAG_NAME, "td")[8].text for row in rows}


def test_a_snapshot_has_curves_and_tables_and_no_latency(page: Page) -> None:
    page.go("tasks=s&view=rate")
    assert "Digits s · classification, 200 test images, teacher 90 %, from its snapshot" in page.find(".chart").text
    points = "return sc2.content.benchmarks.find((b) => b.name === 's').curves.flatMap((c) => c.points).length"
    assert page.browser.execute_script(points) == len(POINTS)
    page.go("tasks=s&point=s/webp/50")
    text = page.find("dialog").text
    assert "in the snapshot reference/s" in text
    assert "snakemake --cores all --configfile config/other.yaml" in text
    for view in ("exrd", "three", "latency", "deadline"):
        page.go(f"tasks=s&view={view}")
        empty = page.all(".chart .empty")
        assert bool(empty) == (view in ("latency", "deadline"))
        assert all("latency needs the bytes of every image" in one.text for one in empty)
    assert "Only the snapshot of this benchmark is here" in page.find("#pair").text
    assert "Of reference/s only the snapshot is here" in page.find("#made").text
    assert page.all("#pictures img")


def test_presets_and_sliders_move_latency_and_misses(page: Page) -> None:
    page.click("#view-latency").click("#preset-lora")
    assert (page.state()["rate"], page.state()["rtt"]) == (37.5, 1000)
    assert page.find("#preset-lora").get_attribute("aria-pressed") == "true"
    assert page.find("#rate-out").text == "37.5 kbit/s"
    caption = page.find("#modelled caption").text
    assert "37.5 kbit/s, round trip 1 s" in caption
    assert late(page) == {"Local model": "0", "Entropic <Student>": "100", "WebP": "100"}
    page.browser.execute_script(
        "const s = document.getElementById('deadline'); s.value = 4; s.dispatchEvent(new Event('input'))"
    )
    page.settled()
    assert set(late(page).values()) == {"0"}
    before = page.find("#rate-out").text
    page.find("#rate").send_keys(Keys.ARROW_RIGHT)
    page.settled()
    assert page.find("#rate-out").text != before
    assert page.find("#rate").get_attribute("aria-valuetext") == page.find("#rate-out").text
    page.click("#view-deadline")
    assert len(page.drawn()) == 3


def test_a_pair_is_compared_in_words(page: Page) -> None:
    page.choose("#a", "webp").choose("#b", "entropic_student").choose("#pair-loss", "2")
    assert "fewer bytes than WebP at 88.0 % top-1 accuracy" in page.find("#pair").text
    page.choose("#pair-loss", "1")
    assert "Entropic <Student>: no measured point comes within 1 points" in page.find("#pair").text
    page.choose("#b", "webp")
    assert page.find("#pair").text == "Choose two different methods."


def test_tables_are_sorted_filtered_and_downloaded(page: Page, written: Path) -> None:
    assert len(page.all("#table tbody tr")) == len(POINTS)
    page.find("#filter").send_keys("WebP 1200")
    assert page.find("#table-said").text.startswith("rate quality of Digits b: 1 of 6 rows")
    page.find("#filter").clear()
    page.find("#filter").send_keys("webp")
    page.click("[data-column='top1_pct']").click("[data-column='top1_pct']")
    column = [cell.text for cell in page.all("#table tbody td:nth-child(11)")]
    assert [float(value) for value in column] == [89.0, 85.0, 70.0]
    assert page.find("th[aria-sort='descending']").text.startswith("top1 pct")
    page.click("#csv").click("#csv-shown")
    folder: Path = page.browser.downloads  # type: ignore[attr-defined]
    names = ("b_rate_quality.csv", "b_rate_quality_shown.csv")
    WebDriverWait(page.browser, WAIT_S).until(lambda _: all((folder / name).is_file() for name in names))
    made = (written.parent / "results/tables/b/rate_quality.csv").read_text(encoding="utf-8")
    assert (folder / names[0]).read_text(encoding="utf-8") == made
    lines = made.splitlines()
    assert (folder / names[1]).read_text(encoding="utf-8").splitlines() == [lines[0], lines[3], lines[2], lines[1]]
    page.choose("#table-name", "break_even")
    assert page.find("#table-said").text.startswith("break even")


def test_a_link_leads_to_a_view(page: Page) -> None:
    page.click("#view-three").choose("#cost", "macs").click("#method-webp").choose("#theme", "dark")
    address = page.browser.current_url
    drawn = page.drawn()
    page.go().go(address.partition("#")[2])
    state = page.state()
    assert (state["view"], state["cost"], state["off"], state["theme"]) == ("three", "macs", ["webp"], "dark")
    assert page.drawn() == drawn
    assert page.find("#view-three").get_attribute("aria-selected") == "true"
    page.go("view=rate&point=c/webp/10&tasks=c")
    assert "WebP q=10 on Digits c" in page.find("dialog").text
    page.go("view=nonsense&rate=-3&rtt=x&tasks=nobody&loss=77&table=a/b&off=nothing")
    assert (page.state()["view"], page.state()["rate"], page.state()["rtt"]) == ("rate", 6000, 70)


def test_pictures_are_enlarged(page: Page) -> None:
    page.click("#pictures button")
    image = page.find("dialog img")
    assert "WebP" in image.get_attribute("alt")
    assert page.browser.execute_script("return arguments[0].naturalWidth", image) == 8
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)


@pytest.mark.parametrize(("width", "view"), [(1280, "rate"), (390, "rate"), (390, "latency"), (390, "three")])
def test_nothing_sticks_out_of_the_window(page: Page, width: int, view: str) -> None:
    page.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    try:
        page.go(f"view={view}")
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= width
        charts = page.browser.execute_script(
            "return [...document.querySelectorAll('.plot svg')].map((s) => s.getBoundingClientRect().right)"
        )
        assert max(charts) <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_a_screen_reader_needs_is_there(page: Page) -> None:
    script = """
        const named = (e) => e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim() || e.title;
        const isNamed = (e) => (e.tagName === 'IMG' ? e.alt : named(e));
        const elements = [...document.querySelectorAll('button, input, select, summary, img')];
        return elements.filter((e) => !isNamed(e)).map((e) => e.outerHTML);
    """
    assert page.browser.execute_script(script) == []
    assert page.browser.execute_script("return document.documentElement.lang") == "en"
    assert "Arrow keys" in page.find(".plot").get_attribute("aria-label")
    levels = [int(heading.tag_name[1]) for heading in page.all("h1, h2")]
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_text_has_enough_contrast_in_both_themes(page: Page) -> None:
    for theme, background in (("light", LIGHT_PAGE), ("dark", DARK_PAGE)):
        page.go(f"theme={theme}")
        names = ("--page", "--panel", "--ink", "--faint", "--accent", "--on-accent", "--warn", "--warn-ink")
        script = "return arguments[0].map((n) => getComputedStyle(document.documentElement).getPropertyValue(n))"
        found = page.browser.execute_script(script, names)
        colours = {name: value.strip() for name, value in zip(names, found, strict=True)}
        assert colours["--page"] == background
        for ink in ("--ink", "--faint", "--accent"):
            for under in ("--page", "--panel"):
                assert contrast(colours[ink], colours[under]) >= 4.5, (theme, ink, under)
        assert contrast(colours["--accent"], colours["--on-accent"]) >= 4.5
        assert contrast(colours["--warn"], colours["--warn-ink"]) >= 4.5
