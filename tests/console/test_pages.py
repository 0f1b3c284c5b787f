"""Every page: it renders, keeps to its policy, and can be used by everybody. Pictures stay in target/console."""

import pytest

PAGES = ["overview", "hour", "routes", "route", "hosts", "host", "canaries", "findings", "certificates", "explain", "form", "live",
         "check", "annotation"]


@pytest.fixture(scope="module")
def pages(invented):
    return {name: invented.address + path for name, path in invented.pages().items()}


@pytest.fixture(scope="module")
def demo_pages(demo):
    return {name: demo.address + path for name, path in demo.pages().items()}


def check(browser, address, name, look):
    """The page is there, keeps to its policy, and fits. A picture of it is kept."""
    browser.look(look)
    browser.open(address)
    browser.wait_until_live()
    if address.endswith("/live"):
        browser.wait(lambda: browser.texts("#tap-rows tr"), "a request")
    assert len(browser.all("h1")) == 1
    assert browser.texts("main")[0].strip()
    browser.picture(name, look)
    assert browser.complaints() == []
    # Tables scroll within their cards; the page itself never moves sideways.
    width = browser.script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("page", PAGES)
def test_page(browser, pages, page, look):
    check(browser, pages[page], page, look)


@pytest.mark.parametrize("page", PAGES)
def test_page_of_the_demo(browser, demo_pages, page):
    check(browser, demo_pages[page], f"demo-{page}", "light")


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_accessibility(browser, pages, axe, page, look):
    browser.look(look)
    browser.open(pages[page])
    if page == "live":
        browser.wait(lambda: browser.texts("#tap-rows tr"), "a request")
    browser.script(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    result = browser.driver.execute_async_script(
        "const [tags, done] = arguments; axe.run({ runOnly: tags }).then(done, (error) => done({ error: String(error) }))", tags)
    assert "error" not in result, result
    found = [
        (violation["id"], violation["impact"], node["html"][:200], node["failureSummary"])
        for violation in result["violations"] if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert found == []


def test_dark_and_light_differ(browser, pages):
    backgrounds = []
    for look in ("light", "dark"):
        browser.look(look)
        browser.open(pages["overview"])
        backgrounds.append(browser.script("return getComputedStyle(document.body).backgroundColor"))
    assert backgrounds == ["rgb(246, 247, 249)", "rgb(12, 14, 18)"]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "live"])
def test_without_scripts(browser, pages, page):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(pages[page])
        assert browser.find("h1").text
        assert len(browser.find("main").text) > 60
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
