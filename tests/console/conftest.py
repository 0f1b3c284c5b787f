"""The console in a real browser: Chromium from Debian, driven by Selenium. Without them the tests are skipped."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# Screenshots stay here.
PICTURES = TARGET / "console"
TOKEN = "0123456789abcdef0123456789abcdef"
# What a page did that it must not: reported by the page itself, before its own scripts run.
WATCH = """
window.reported = [];
addEventListener("securitypolicyviolation", (event) => reported.push(`${event.violatedDirective}: ${event.blockedURI}`));
addEventListener("error", (event) => reported.push(event.message));
addEventListener("unhandledrejection", (event) => reported.push(String(event.reason)));
window.alert = (text) => reported.push(`alert: ${text}`);
"""


@pytest.fixture(scope="session")
def program():
    """The example of the crate, whose data is invented: it serves any number of hosts, and hostile ones."""
    command = ["cargo", "build", "--quiet", "--locked", "-p", "headgate-console", "--example", "console"]
    subprocess.run(command, cwd=ROOT, check=True)
    return TARGET / "debug" / "examples" / "console"


@pytest.fixture(scope="session")
def start(program):
    """Starts consoles that end with the tests."""
    running = []

    def start(*arguments):
        command = [program, "--address", "127.0.0.1:0", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "the console did not start"
        return address.rstrip("/")

    yield start
    for process in running:
        process.stdin.close()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def invented(start):
    return Site(start("--hosts", "400"))


@pytest.fixture(scope="session")
def demo():
    """`headgate demo`, whose console has data of a process with traffic. Needs `cargo build`."""
    headgate = TARGET / "debug" / "headgate"
    if not headgate.exists():
        pytest.skip(f"needs {headgate}")
    ports = ["--http-port=0", "--https-port=0", "--healthz-port=0", "--console-address=127.0.0.1:0"]
    process = subprocess.Popen([headgate, "demo", *ports], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        # The console is printed first; the rest are commands to try.
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.skip("this program has no console")
        # What follows is the access log: it must not fill the pipe.
        subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        yield Site(found[0])
    finally:
        process.terminate()
        process.wait(timeout=60)


class Site:
    """A console and its pages."""

    def __init__(self, address):
        self.address = address

    def json(self, path):
        request = urllib.request.Request(self.address + path, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def pages(self):
        """The path of every page by its name, with something to show."""
        routes = self.json("/routes?sort=requests")["items"]
        splits = self.json("/canaries")["items"]
        route = splits[0] if splits else {"route": routes[0]["id"], "host": routes[0]["host"]}
        host = quote(route["host"], safe="")
        url = quote(f"https://{route['host'].replace('*', 'a')}/products", safe="")
        return {
            "overview": "/", "hour": "/?range=1h", "routes": "/routes", "route": f"/routes/{route['route']}", "hosts": "/hosts",
            "host": f"/hosts/{host}", "canaries": "/canaries", "findings": "/findings", "certificates": "/certificates",
            "explain": f"/explain?url={url}", "form": "/explain", "live": "/live", "check": "/check",
            "annotation": "/annotations/canary-weight",
        }


@pytest.fixture(scope="session")
def driver():
    for tool in ("chromium", "chromedriver"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    # Only where there is a browser: it needs no part of Selenium to skip.
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    # The sandbox needs user namespaces, which containers may lack. The pages are our own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """The browser as it starts: light, wide, without cookies."""
    browser = Browser(driver)
    browser.look("light")
    driver.delete_all_cookies()
    driver.get_log("browser")
    yield browser
    driver.get("about:blank")


class Browser:
    """What the tests do with a browser."""

    LOOKS = {"light": (1440, 900, "light"), "dark": (1440, 900, "dark"), "phone": (390, 844, "light")}

    def __init__(self, driver):
        self.driver = driver

    def look(self, look, height=None):
        width, least, scheme = self.LOOKS[look]
        size = {"width": width, "height": height or least, "deviceScaleFactor": 1, "mobile": look == "phone"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, address):
        self.driver.get(address)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector):
        """The texts of elements at one moment: parts of a page are replaced while it is read."""
        return self.script("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def wait(self, condition, what="the page"):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 30, poll_frequency=0.1).until(lambda _: condition(), f"waiting for {what}")

    def wait_until_live(self):
        if self.all("#live-state"):
            self.wait(lambda: self.texts("#live-state") == ["live"], "the stream")

    def picture(self, name, look):
        """Keeps a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        height = self.script("return document.documentElement.scrollHeight")
        self.look(look, min(max(height, self.LOOKS[look][1]), 4000))
        self.driver.save_screenshot(str(PICTURES / f"{name}-{look}.png"))
        self.look(look)

    def complaints(self):
        """What the page and the console of the browser report."""
        logged = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]
        return logged + self.script("return window.reported ?? ['the page was not watched']")


@pytest.fixture(scope="session")
def axe():
    """axe-core, which finds what makes a page hard to use for some."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    installed = subprocess.run([HERE / "axe" / "install"], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip("no axe-core: " + "; ".join(installed.stderr.splitlines()[-2:]))
    return (Path(installed.stdout.strip()) / "node_modules/axe-core/axe.min.js").read_text()
