"""What people do: search, turn pages, explain, watch, log in."""

from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import TOKEN, Site

pytest.importorskip("selenium")
from selenium.webdriver.common.keys import Keys  # noqa: E402: it may be missing


def query(browser):
    return {name: values[0] for name, values in parse_qs(urlsplit(browser.driver.current_url).query).items()}


def test_search(browser, invented):
    browser.open(invented.address + "/routes")
    # The key / leads into the search from anywhere.
    browser.find("body").send_keys("/")
    field = browser.driver.switch_to.active_element
    assert field.get_attribute("name") == "q"
    field.send_keys("cart.shop products", Keys.ENTER)
    browser.wait(lambda: "q" in query(browser), "the result")
    assert query(browser)["q"] == "cart.shop products"
    assert browser.texts("tr.group") == ["cart.shop.example"]
    assert browser.texts("tbody td:first-child .name") == ["/products"]
    assert browser.find("input[name=q]").get_attribute("value") == "cart.shop products"
    browser.find("tbody td:first-child a").click()
    browser.wait(lambda: "/routes/" in browser.driver.current_url, "the route")
    assert browser.find("h1").text == "/products"


def test_paging(browser, invented):
    browser.open(invented.address + "/hosts?q=tenant-")
    assert browser.texts(".pager span")[0] == "1–50 of 390 hosts"
    browser.find("a[rel=next]").click()
    browser.wait(lambda: query(browser).get("offset") == "50", "the second part")
    assert query(browser)["q"] == "tenant-"
    assert browser.texts(".pager span")[0] == "51–100 of 390 hosts"
    browser.find("a[rel=prev]").click()
    browser.wait(lambda: "offset" not in query(browser), "the first part")


def test_order(browser, invented):
    browser.open(invented.address + "/routes")
    browser.find("select[name=sort]").send_keys("slowest")
    browser.find("form button").click()
    browser.wait(lambda: query(browser).get("sort") == "latency", "the other order")
    assert browser.texts("thead th")[0] == "Host"


def test_findings(browser, invented):
    browser.open(invented.address + "/findings")
    [link] = [link for link in browser.all(".filters a") if link.text.startswith("Errors")]
    link.click()
    browser.wait(lambda: query(browser).get("severity") == "error", "the errors")
    assert set(browser.texts(".findings .tag")) == {"error"}
    browser.find(".findings .what a").click()
    browser.wait(lambda: "/annotations/" in browser.driver.current_url, "the annotation")
    assert "Value" in browser.texts("dt")


def test_explain(browser, invented):
    browser.open(invented.address + "/explain")
    browser.find("input[name=url]").send_keys("https://a.tenants.shop.example/products")
    browser.find("textarea").send_keys("X-Canary: always", Keys.ENTER, "X-Other: 1")
    browser.find("select[name=method]").send_keys("POST")
    browser.find("input[name=from]").send_keys("203.0.113.9", Keys.ENTER)
    browser.wait(lambda: browser.all(".verdict"), "the decision")
    decision = browser.find(".steps").text
    assert "Forwarded as /v2/products" in decision and "X-Canary: always" in decision and "203.0.113.9" in decision
    assert "/products is longer" in browser.find("main").text
    # The link is all that somebody else needs.
    shared = browser.driver.current_url
    browser.driver.switch_to.new_window("tab")
    try:
        browser.open(shared)
        assert browser.find(".steps").text == decision
        assert browser.find("select[name=method]").get_attribute("value") == "POST"
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(browser.driver.window_handles[0])


def test_what_is_wrong_with_the_form(browser, invented):
    browser.open(invented.address + "/explain?url=nonsense")
    assert "has no scheme and host" in browser.find("[role=alert]").text
    assert browser.find("input[name=url]").get_attribute("value") == "nonsense"


def test_a_page_changes_by_itself(browser, invented):
    browser.open(invented.address + "/")
    browser.wait_until_live()
    before = browser.texts("#figures")
    browser.wait(lambda: browser.texts("#figures") != before, "another number")
    browser.find("#live-pause").click()
    assert browser.texts("#live-state") == ["paused"]
    paused = browser.texts("#figures")
    browser.find("#live-pause").click()
    browser.wait_until_live()
    browser.wait(lambda: browser.texts("#figures") != paused, "another number")
    assert browser.complaints() == []


def test_what_is_marked_or_used_stays(browser, invented):
    browser.open(invented.address + "/")
    browser.wait_until_live()
    browser.script("getSelection().selectAllChildren(document.getElementById('figures')); window.kept = document.getElementById('figures')")
    head = browser.texts("#workers")
    browser.wait(lambda: browser.texts("#workers") != head, "another number")
    assert browser.script("return kept.isConnected")


def test_what_was_scrolled_stays(browser, invented):
    browser.look("phone")
    browser.open(invented.address + "/")
    browser.wait_until_live()
    browser.script("document.querySelector('#busiest .scroll').scrollLeft = 60")
    browser.script("window.first = document.querySelector('#busiest')")
    browser.wait(lambda: not browser.script("return first.isConnected"), "another number")
    assert browser.script("return document.querySelector('#busiest .scroll').scrollLeft") == 60


def test_tap(browser, invented):
    browser.open(invented.address + "/live")
    browser.wait(lambda: len(browser.texts("#tap-rows tr")) > 3, "requests")
    browser.find("input[name=status]").send_keys("5xx", Keys.ENTER)
    browser.wait(lambda: query(browser).get("status") == "5xx", "the filter")
    browser.wait(lambda: len(browser.texts("#tap-rows tr")) > 2, "requests")
    assert set(browser.texts("#tap-rows .tag")) == {"503"}
    browser.wait(lambda: browser.texts("#tap-lost") != ["0"], "requests that were left out")
    browser.find("#live-pause").click()
    browser.script("document.querySelector('#tap-rows tr td:last-child a').click()")
    browser.wait(lambda: browser.all(".verdict"), "the explanation")
    assert query(browser)["url"].startswith("https://")
    assert query(browser)["from"].startswith("203.0.113.")


def test_a_wrong_filter(browser, invented):
    browser.open(invented.address + "/live?status=many")
    assert "is no status" in browser.find("[role=alert]").text


def test_keyboard(browser, invented):
    browser.open(invented.address + "/routes")
    browser.find("body").send_keys(Keys.TAB)
    skip = browser.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    skip.send_keys(Keys.ENTER)
    assert browser.driver.switch_to.active_element.get_attribute("id") == "main"
    outlines = []
    for _ in range(3):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        style = "return getComputedStyle(document.activeElement).outlineStyle"
        outlines.append(browser.script(style))
    assert outlines == ["solid"] * 3


def test_login(browser, start):
    site = Site(start("--token", TOKEN))
    browser.open(site.address + "/findings?severity=error")
    browser.find("input[name=token]").send_keys("not the token at all", Keys.ENTER)
    browser.wait(lambda: browser.all("[role=alert]"), "the refusal")
    browser.picture("login", "light")
    browser.find("input[name=token]").send_keys(TOKEN, Keys.ENTER)
    browser.wait(lambda: browser.texts("h1") == ["Findings"], "the page")
    assert query(browser) == {"severity": "error"}
    [cookie] = browser.driver.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]
    assert browser.script("return document.cookie") == ""
    browser.open(site.address + "/")
    browser.wait_until_live()
    # A session that has ended is said, and the page stays.
    browser.driver.delete_all_cookies()
    browser.find("#live-pause").click()
    browser.find("#live-pause").click()
    browser.wait(lambda: browser.texts("#live-state") == ["not live"], "the end of the stream")


def test_a_link_of_another_site_needs_no_second_login(browser, start, invented):
    site = Site(start("--token", TOKEN))
    browser.open(site.address + "/login")
    browser.find("input[name=token]").send_keys(TOKEN, Keys.ENTER)
    browser.wait(lambda: browser.texts("h1") == ["Overview"], "the page")
    # The same program by another name is another site; browsers keep the cookie from its link.
    browser.open(invented.address.replace("127.0.0.1", "localhost") + "/check")
    browser.script("const link = document.createElement('a'); link.href = arguments[0]; document.body.append(link); link.click()",
                   site.address + "/certificates")
    browser.wait(lambda: browser.texts("h1") == ["Certificates"], "the page")


def test_hostile_text_is_text(browser, start):
    site = Site(start("--hosts", "30", "--hostile"))
    paths = {**site.pages(), "route": "/routes/any", "host": "/hosts/any", "annotation": "/annotations/any",
             "explain": "/explain?url=https%3A%2F%2Fa.example%2F"}
    for name, path in paths.items():
        for look in ("light", "phone"):
            browser.look(look)
            browser.open(site.address + path)
            if name == "live":
                browser.wait(lambda: len(browser.texts("#tap-rows tr")) > 6, "requests")
            scripts = browser.script("return [...document.scripts].map((script) => new URL(script.src).pathname)")
            assert all(script.startswith("/assets/") for script in scripts), name
            assert browser.all("img") == []
            width = browser.script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert width[0] <= width[1], (name, look)
            browser.picture(f"hostile-{name}", look)
            assert browser.complaints() == [], name
    browser.open(site.address + "/routes")
    assert any("<script>alert('x')</script>" in text for text in browser.texts(".name"))
