"""A browser: chromium without a window, driven by selenium."""

import json
import os
import tempfile
import urllib.parse

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from results import PATIENCE, until


class Browser:
    """One browser with a profile of its own."""

    open = []

    def __init__(self, console, work, scripts=True, agent=None):
        self.console = console
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        profile = tempfile.mkdtemp(prefix="browser.", dir=work)
        arguments = ["--headless=new", f"--user-data-dir={profile}", "--window-size=1440,1000", "--hide-scrollbars",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run",
                     "--disable-dev-shm-usage", "--disable-gpu", "--lang=en"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        if agent:
            arguments.append(f"--user-agent={agent}")
        for argument in arguments:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        service = Service("/usr/bin/chromedriver", log_output=os.path.join(profile, "driver.log"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.requested = []
        Browser.open.append(self)

    def quit(self):
        if self in Browser.open:
            Browser.open.remove(self)
            self.driver.quit()

    # Pages

    def get(self, path):
        self.driver.get(urllib.parse.urljoin(self.console, path))
        return self

    @property
    def path(self):
        parts = urllib.parse.urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def text(self, selector="body"):
        """The text that an element shows, in one step: between two, events may replace the element."""
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector).strip()

    def texts(self, selector):
        """The texts of all such elements that can be seen."""
        return self.run("return [...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility())"
                        ".map((each) => each.innerText.trim())", selector)

    def wait(self, what, condition):
        return WebDriverWait(self.driver, PATIENCE, 0.1).until(lambda _: condition(), what)

    def wait_text(self, text, selector="body"):
        """Waits until the page shows a text."""
        try:
            self.wait(text, lambda: text in self.text(selector))
        except WebDriverException as error:
            raise AssertionError(f"{text!r} does not appear at {self.path}: {self.text(selector)[:500]!r}") from error

    def wait_path(self, path):
        self.wait(path, lambda: self.path == path)

    def heading(self):
        return self.text("h1")

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    # Forms

    def fill(self, name, text, form="form"):
        field = self.find(f"{form} [name='{name}']")
        if field.tag_name == "select":
            self.run("arguments[0].value = arguments[1]", field, text)
            return
        field.clear()
        field.send_keys(text)

    def button(self, label, within="body"):
        """The visible button with a label."""
        buttons = f"{within} button, {within} a.button"
        found = self.run("return [...document.querySelectorAll(arguments[0])].find((each) => each.checkVisibility()"
                         " && each.innerText.trim() === arguments[1])", buttons, label)
        if not found:
            raise AssertionError(f"no button {label!r} at {self.path}; there are {self.texts(buttons)}")
        return found

    def press(self, label, within="body"):
        """Clicks a button, agrees with what the page asks, and waits for the next page."""
        button = self.click(lambda: self.button(label, within))
        self.agree()
        self.wait(f"the page after {label!r}", lambda: is_gone(button) and self.all("h1"))

    def click(self, find):
        """Clicks what `find` returns. Where events replace the element before that, finds it again."""
        for _ in range(10):
            try:
                found = find()
                found.click()
                return found
            except StaleElementReferenceException:
                continue
        raise AssertionError(f"nothing stays to be clicked at {self.path}")

    def agree(self):
        try:
            self.driver.switch_to.alert.accept()
        except WebDriverException:
            pass

    def without_events(self):
        """From the next page on, nothing changes by itself."""
        quiet = "window.EventSource = class extends EventTarget { close() {} }"
        return self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": quiet})["identifier"]

    def with_events(self, identifier):
        """Undoes that."""
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": identifier})

    # Signing in and out

    def sign_in_by_link(self, url):
        self.driver.get(url)
        self.press("Sign in")
        self.wait("the session", lambda: self.all("form[action='/sign-out']"))
        return self

    # Looks

    def size(self, width, height=1000, dark=False):
        """The size of the screen, and the colour scheme of the system."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        # A colour on its way to another is neither.
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    # What it did

    def hosts(self):
        """The hosts that pages have asked since the last call; those of the browser's own pages are none."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urllib.parse.urlsplit(message["params"]["request"]["url"])
                if url.scheme in ("http", "https", "ws", "wss"):
                    found.add(url.netloc)
        return found

    def complaints(self):
        """What the console of the browser's developer tools has of the pages: violations of the policy, faults of scripts."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


def is_gone(element):
    try:
        element.is_enabled()
        return False
    except WebDriverException:
        return True


def quit_all():
    for browser in list(Browser.open):
        browser.quit()
