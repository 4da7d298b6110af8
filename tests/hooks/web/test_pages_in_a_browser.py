"""Our pages as people have them: in Chromium, at a desk and on a phone.

The browser logs in by HTTP's own dialogue, here with the token in the address.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from git import Actor, Repo
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ci.findings import Finding, Report, Severity
from hooks.builds.records import subject
from hooks.dispatch.pulls import Pushed

pytestmark = pytest.mark.xdist_group("browser")

REPO = "workflow-registry"
PAGE = f"/pages/pulls/{REPO}/1"
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
LONG = "a_very_long_name_without_any_place_to_break_it/" * 6
SECONDS = 20.0
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser(
    browser_programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chrome]:
    program, driver = browser_programs
    options = ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    arguments = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage")
    for argument in (*arguments, f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options, ChromeService(driver))
    made.set_page_load_timeout(60)
    yield made
    made.quit()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def size(request: pytest.FixtureRequest, browser: Chrome) -> tuple[int, int]:
    """Of the page itself: a window of Chromium is never narrower than 500."""
    width, height = request.param
    values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)
    return width, height


@pytest.fixture
def see(service: Any, served: str, browser: Chrome) -> Callable[[str], Chrome]:
    """Open a page as ada, and look that it told of no error: ``see("/")``."""
    token = service.tokens.create("ada")[1]

    def show(path: str) -> Chrome:
        browser.get_log("browser")
        browser.get(f"{served.replace('://', f'://ada:{token}@')}{path}")
        return browser

    return show


@pytest.fixture
def pull(service: Any, build_forges: Any, tmp_path: Path) -> Callable[..., Any]:
    """A judged pull request of ada's: ``pull(text, file=…, verdict=…, findings=…)``."""

    def make(
        text: str, *, file: str = "notes.txt", verdict: str = "PASSED", findings: Any = ()
    ) -> Any:
        bare = build_forges[REPO].fetch().git_dir
        with Repo.clone_from(str(bare), str(tmp_path / "clone")) as repository:
            repository.git.checkout("-b", "topic")
            place = Path(repository.working_dir) / "rom" / "solve" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            repository.git.add("--all")
            ada = Actor("Ada", "ada@example.org")
            head = repository.index.commit(EVIL, author=ada, committer=ada, skip_hooks=True).hexsha
            with Repo(str(bare)) as into:
                into.git.fetch(repository.working_dir, "+HEAD:refs/heads/topic")
        pushed = Pushed("topic", head, "ada", {"title": EVIL})
        service.desk.dispatcher.align(REPO, pushed)
        [row] = service.pulls.of(REPO)
        report = Report.of(list(findings)).to_dict()
        values = {"verdict": verdict, "report": report, "plan": {"builds": []}}
        assert service.pulls.judged(row.id, (row.base, row.head), values)
        return service.pulls.get(row.id)

    return make


def wait(browser: Chrome, condition: Callable[[Chrome], Any]) -> Any:
    return WebDriverWait(browser, SECONDS).until(condition)


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def complaints(browser: Chrome) -> list[str]:
    entries = [entry["message"] for entry in browser.get_log("browser")]
    return [entry for entry in entries if "favicon" not in entry]


def test_what_strangers_wrote_is_text(pull, see):
    finding = Finding("topology/x", Severity.ERROR, EVIL, 1, 1, EVIL, EVIL)
    pull(EVIL, file=f"{EVIL.replace('/', '')}.txt", verdict="FAILED", findings=[finding])
    page = see(PAGE)
    assert "broken" not in page.title.split("·")[-1]
    assert page.execute_script("return document.title") != "broken"
    assert page.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert text(page).count("<script>document.title=") >= 4  # title, place, words, hint, diff
    assert complaints(page) == []


def test_a_pull_request_fits_its_screen(pull, see, size):
    finding = Finding("topology/x", Severity.ERROR, LONG, 1, 1, f"it is {LONG}", LONG)
    pull(f"{LONG * 5}\n", verdict="FAILED", findings=[finding])
    page = see(PAGE)
    assert page.execute_script("return document.documentElement.scrollWidth") <= size[0]
    assert page.find_element(By.CSS_SELECTOR, "button.main").is_displayed()
    sizes = "return getComputedStyle(document.querySelector('table')).fontSize"
    assert float(page.execute_script(sizes).removesuffix("px")) >= 13


def test_the_first_page_fits_its_screen(pull, see, size):
    pull("one\n")
    page = see("/")
    assert page.execute_script("return document.documentElement.scrollWidth") <= size[0]
    page.find_element(By.LINK_TEXT, "1").click()
    wait(page, lambda p: p.current_url.endswith(PAGE))


def test_the_button_merges_and_says_so(pull, see, service):
    row = pull("one\n")
    page = see(PAGE)
    page.find_element(By.CSS_SELECTOR, "button.main").click()
    wait(page, lambda p: "MERGED" in p.find_element(By.TAG_NAME, "h1").text)
    assert service.hosting.forges[REPO].look().main == row.head
    assert page.find_elements(By.TAG_NAME, "button") == []


def test_what_did_not_pass_has_a_button_that_does_nothing(pull, see, service):
    row = pull("one\n", verdict="FAILED")
    page = see(PAGE)
    button = page.find_element(By.CSS_SELECTOR, "button.main")
    assert not button.is_enabled()
    button.click()
    assert "did not pass" in text(page)
    assert service.hosting.forges[REPO].look().main == row.base


def test_the_log_of_a_build_goes_on_while_it_is_looked_at(service, see, ask):
    build = ask()
    service.journal.write(subject(build), "one", EVIL)
    page = see(f"/pages/builds/{build}")
    assert EVIL in page.find_element(By.ID, "log").text
    service.journal.write(subject(build), "two", f"later {EVIL}")
    wait(page, lambda p: f"later {EVIL}" in p.find_element(By.ID, "log").text)
    assert page.find_elements(By.CSS_SELECTOR, "#log *") == []
    assert complaints(page) == []


def test_a_script_that_was_smuggled_into_a_page_does_not_run(service, see, browser):
    @service.application.get("/smuggled")
    def smuggled() -> str:
        return "<title>whole</title><script>document.title = 'broken'</script>"

    see("/smuggled")
    wait(browser, lambda p: any("Content Security Policy" in told for told in complaints(p)))
    assert browser.title == "whole"


@pytest.fixture
def elsewhere() -> Iterator[SimpleNamespace]:
    """A site of somebody else's, on a name of its own: it shows ``elsewhere.page``."""
    found = SimpleNamespace(page="")

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(found.page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Site)
    found.url = f"http://localhost:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_page_of_another_site_can_neither_merge_nor_frame(
    pull, see, served, service, elsewhere, browser
):
    row = pull("one\n")
    see(PAGE)  # the browser knows the token from here on, and sends it
    elsewhere.page = f"""<form id="f" method="post" action="{served}{PAGE}/merge">
        <input name="head" value="{row.head}"></form><script>f.submit()</script>"""
    browser.get(elsewhere.url)
    wait(browser, lambda p: p.current_url.startswith(served))
    assert "from a page of this service" in text(browser)
    assert service.hosting.forges[REPO].look().main == row.base
    elsewhere.page = f'<iframe src="{served}{PAGE}" width="800" height="600"></iframe>'
    browser.get(elsewhere.url)
    wait(browser, lambda p: any("frame-ancestors" in told for told in complaints(p)))
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    assert "Merge" not in text(browser)
    browser.switch_to.default_content()
