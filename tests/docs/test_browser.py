"""The site as a reader has it: in chromium, from files, without a network, on a desk or a phone."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.docs.site import built

CHROMIUM = shutil.which("chromium")

if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("chromium isn't installed (Debian: chromium)", allow_module_level=True)

PHONE = {"width": 400, "height": 800}
DESK = {"width": 1280, "height": 900}

PAGES = (
    "index.html",
    "leases.html",
    "data-model.html",
    "benchmarks.html",
    "reference/leases.html",
    "reference/migrations.html",
    "reference/commands.html",
    "search.html?q=LeaseHeld",
)
"""A page of each kind, those with wide tables, code and pictures among them."""

CONTRAST_MIN = 4.5
"""Of text and what is behind it, as WCAG 2.2 asks of level AA (success criterion 1.4.3)."""

TEXT_PIXELS_MIN = 16
SMALL_PIXELS_MIN = 12
"""Of prose, and of everything else."""

TEXTS = (Path(__file__).parent / "texts.js").read_text()


class Heard(NamedTuple):
    """What a browser did besides showing pages."""

    complaints: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "chromium isn't installed (Debian: chromium)"
    with sync_playwright() as playwright:
        # Root, as continuous integration is, can't have the sandbox.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site() -> str:
    return built().as_uri()


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The site's address on this machine, as ``python -m http.server`` serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = partial(Quiet, directory=str(built()))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def listen(context: BrowserContext) -> Heard:
    heard = Heard([], [])
    context.on("request", lambda request: heard.requests.append(request.url))
    context.on("weberror", lambda error: heard.complaints.append(str(error.error)))
    context.on(
        "console",
        lambda message: (
            message.type in ("error", "warning") and heard.complaints.append(message.text)
        ),
    )
    return heard


def searched(page: Page, words: str) -> None:
    page.get_by_placeholder("Search").first.fill(words)
    page.keyboard.press("Enter")
    expect(page.locator("#search-results")).to_contain_text("Search finished")


def test_from_files_the_search_finds_an_error_and_leads_to_it(browser, site):
    context = browser.new_context(viewport=DESK, offline=True)
    heard = listen(context)
    page = context.new_page()
    page.goto(f"{site}/index.html")
    searched(page, "LeaseHeld")
    results = page.locator("#search-results ul.search > li")
    assert results.count() > 2
    results.first.get_by_role("link").click()
    page.wait_for_url("**/reference/errors.html#forgedb.LeaseHeld")
    expect(page.locator("[id='forgedb.LeaseHeld']")).to_be_in_viewport()
    assert heard.complaints == []
    assert all(url.startswith("file:///") for url in heard.requests)
    context.close()


def test_from_a_server_a_result_shows_where_in_the_page_it_was_found(browser, served):
    context = browser.new_context(viewport=DESK)
    heard = listen(context)
    page = context.new_page()
    page.goto(f"{served}/index.html")
    searched(page, "holder sleep token")
    expect(page.locator("#search-results p.context").first).to_contain_text("token")
    assert heard.complaints == []
    assert all(url.startswith(f"{served}/") for url in heard.requests)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_every_page_is_readable(browser, site, scheme):
    context = browser.new_context(viewport=PHONE, color_scheme=scheme, offline=True)
    heard = listen(context)
    page = context.new_page()
    faults: list[str] = []
    for name in PAGES:
        page.goto(f"{site}/{name}")
        if name.startswith("search"):
            expect(page.locator("#search-results")).to_contain_text("Search finished")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            faults.append(f"{name}: it is {width} pixels wide")
        texts = page.evaluate(TEXTS)
        assert texts
        for text in texts:
            least = TEXT_PIXELS_MIN if text["isProse"] else SMALL_PIXELS_MIN
            if text["contrast"] < CONTRAST_MIN or text["pixels"] < least:
                faults.append(f"{name}: {text}")
    assert faults == []
    assert heard.complaints == []
    assert all(url.startswith("file:///") for url in heard.requests)
    context.close()


def test_the_ground_is_dark_where_the_reader_wants_it(browser, site):
    lightness: dict[str, int] = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=DESK, color_scheme=scheme, offline=True)
        page = context.new_page()
        page.goto(f"{site}/leases.html")
        lightness[scheme] = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3)"
            ".reduce((sum, each) => sum + Number(each), 0)"
        )
        context.close()
    assert lightness["dark"] < 100 < 700 < lightness["light"]


# What looks would find a fault.


def test_what_looks_at_texts_finds_pale_and_small_ones(browser):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.set_content(
        "<body style='background: #fff; font-size: 16px'>"
        "<article><p style='color: #999'>pale</p><p style='font-size: 9px'>small</p>"
        "<div style='background: #222'><p style='color: #0009'>dark on dark</p></div>"
        "<p>good</p></article></body>"
    )
    found = {text["text"]: text for text in page.evaluate(TEXTS)}
    assert found["pale"]["contrast"] == pytest.approx(2.85, abs=0.01)
    assert found["small"]["pixels"] == 9
    assert found["dark on dark"]["contrast"] < 1.5
    assert found["good"]["contrast"] == 21
    assert found["good"]["isProse"]
    context.close()


def test_what_listens_hears_a_script_that_fails_and_a_request_that_leaves(browser):
    context = browser.new_context(offline=True)
    heard = listen(context)
    page = context.new_page()
    page.set_content("<script>nothing()</script><script src='http://127.0.0.1:9/a.js'></script>")
    page.wait_for_load_state()
    assert any("nothing is not defined" in complaint for complaint in heard.complaints)
    assert heard.requests == ["http://127.0.0.1:9/a.js"]
    context.close()
