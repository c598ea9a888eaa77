"""The pictures of docs/images: pages with accounts that have a history."""

import base64
import glob
import os
import shutil
import subprocess
import time

from daemon import random_value
from lifecycle import create
from names import ask, ask_from_everywhere
from results import check, until

LOOKS = {"desktop": (1440, 900, False), "phone": (390, 844, False), "dark": (1440, 900, True), "phone-dark": (390, 844, True)}
# The looks of each page that the documentation shows; all of them together have to be light.
SHOWN = {
    "overview": ("desktop", "dark", "phone"), "accounts": ("desktop", "dark", "phone"), "validation-good": ("desktop", "phone"),
    "validation-bad": ("desktop", "dark", "phone"), "create": ("desktop",), "created": ("desktop",), "doctor": ("desktop",),
    "queries": ("desktop",), "certificates": ("desktop",), "sign-in": ("phone",),
}
LIMIT = 700 * 1024
# How many seconds ago the first validation was.
BEGIN = 1_920
# The addresses of a daemon that clients reach.
API = 'url = "https://auth.example.org"'
DOMAINS = ["www.example.com", "mail.example.com", "git.example.org", "cloud.example.net", "wiki.example.org", "vpn.example.com",
           "shop.example.net", "a-rather-long-name-of-a-host.in-a-rather-long-name-of-a-domain.example.com"]


def configuration(authority):
    """What the daemon is configured with besides. One of the certificates lacks a record."""
    return f"""
[acme]
directory = "{authority.directory}"
ca-root = "{authority.root}"
terms-agreed = true
[[certificate]]
name = "auth"
names = ["auth.example.org", "*.auth.example.org"]
[[certificate]]
name = "intranet"
names = ["intranet.example.com", "*.intranet.example.com"]
"""


class Clock:
    """The daemon's wall clock, which begins in the past, so that accounts have one."""

    def __init__(self, path):
        self.path = path
        self.set(-BEGIN)
        library, = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        self.environment = os.environ | {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": path, "FAKETIME_NO_CACHE": "1",
                                         "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        """So many seconds from the machine's clock."""
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"{seconds:+}")


class Scene:
    """A daemon with accounts, and what happens around it."""

    def __init__(self, daemon, resolver, clock, browser):
        self.daemon, self.resolver, self.clock, self.browser = daemon, resolver, clock, browser

    def register(self, domain):
        """An account whose CNAME is in place."""
        account = self.daemon.register(note=domain)
        self.resolver.set(f"_acme-challenge.{domain}", account["fulldomain"])
        return account

    def validate(self, account, networks=range(11, 17), pause=0.0):
        """A CA validates: each network asks after a pause."""
        self.daemon.publish(account, random_value())
        for network in networks:
            time.sleep(pause)
            ask(self.daemon, account["fulldomain"], f"127.0.{network}.1")


def run(scene, pictures):
    browser, daemon = scene.browser, scene.daemon
    browser.sign_in_by_link(daemon.link())
    good, bad = histories(scene)
    # At first the CA's own certificate was not yet valid.
    for name in ("auth", "intranet"):
        browser.get(f"/certificates/{name}")
        browser.press("Renew now")
    until("a certificate", lambda: "well" in browser.get("/certificates").text("main"))
    pictures.take("overview", "/")
    pictures.take("accounts", "/accounts")
    for name, account in [("good", good), ("bad", bad)]:
        page = f"/accounts/{account['username']}"
        browser.get(page)
        until("the time line", lambda: browser.all(".timeline"))
        pictures.take(f"validation-{name}", page, "#validations")
    pictures.take("create", "/accounts/new")
    pictures.take("certificates", "/certificates")
    browser.get("/queries")
    for number in range(2):
        ask_from_everywhere(daemon, good["fulldomain"])
        ask(daemon, f"nothing-{number}.auth.example.org", "127.0.20.1")
    until("the queries", lambda: len(browser.get("/queries").all("tbody tr")) >= 14)
    pictures.take("queries", "/queries")
    create(browser, "next.example.com", client="acme-sh")
    until("the state of the CNAME", lambda: "CNAME missing" in browser.text("#delegations"))
    pictures.take("created", None)
    browser.get("/doctor")
    browser.press("Examine now")
    until("the examination has ended", lambda: "Examined" in browser.get("/doctor").text("main"))
    pictures.take("doctor", "/doctor")
    browser.get("/")
    browser.press("Sign out")
    pictures.take("sign-in", "/sign-in")
    with check(f"the pictures are under {LIMIT // 1024} KiB together"):
        assert pictures.size < LIMIT or pictures.every_look, f"{pictures.size} bytes"


def histories(scene):
    """Accounts whose last validation went well, and one from whose validation networks of the one before are missing."""
    bad, good = scene.register("api.example.net"), scene.register("app.example.com")
    scene.validate(bad, pause=0.4)
    for minutes, domain in enumerate(DOMAINS, start=1):
        scene.clock.set(minutes * 180 - BEGIN)
        scene.validate(scene.register(domain))
    scene.daemon.register(note="new.example.org")
    disabled = scene.register("old.example.org")
    scene.daemon.cli("account", "disable", disabled["username"])
    # Later than queries could be of the validation before.
    scene.clock.set(-120)
    scene.validate(bad, networks=(11, 12, 14, 15), pause=0.4)
    scene.clock.set(0)
    scene.validate(good, pause=0.4)
    return good, bad


class Pictures:
    """Writes pictures into a folder: those that the documentation shows, or every look of each page."""

    def __init__(self, browser, folder, every_look):
        self.browser, self.folder, self.every_look, self.size = browser, folder, every_look, 0

    def take(self, name, path, section=None):
        """Takes the looks of a page: at a path, or as the browser has it."""
        for look in LOOKS if self.every_look else SHOWN[name]:
            file = os.path.join(self.folder, f"{name}-{look}.png")
            with check(f"{os.path.basename(file)} is written"):
                self.browser.size(*LOOKS[look])
                if path:
                    self.browser.get(path)
                if section:
                    self.browser.run("document.querySelector(arguments[0]).scrollIntoView()", section)
                self.write(file)

    def write(self, file):
        # Two frames later the page is drawn.
        self.browser.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
        shot = self.browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        with open(file, "wb") as picture:
            picture.write(base64.b64decode(shot["data"]))
        if shutil.which("pngquant"):
            subprocess.run(["pngquant", "--force", "--strip", "--speed", "1", "--output", file, "64", file], check=True)
        if shutil.which("optipng"):
            subprocess.run(["optipng", "-quiet", "-o5", file], check=True)
        self.size += os.path.getsize(file)
