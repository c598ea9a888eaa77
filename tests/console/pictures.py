"""The pictures of docs/images: pages with accounts that have a history."""

import base64
import os
import shutil
import subprocess

from daemon import random_value
from lifecycle import create
from names import ask, ask_from_everywhere
from results import check, until

LOOKS = {"desktop": (1440, 900, False), "phone": (390, 844, False), "dark": (1440, 900, True)}
LIMIT = 150 * 1024
# The addresses of a daemon that clients reach, and a certificate that lacks a record.
API = 'url = "https://auth.example.org"'
CONSOLE = """
[acme]
directory = "http://127.0.0.1:1/directory"
terms-agreed = true
[[certificate]]
name = "intranet"
names = ["intranet.example.com"]
"""
DOMAINS = ["www.example.com", "mail.example.com", "git.example.org", "cloud.example.net", "wiki.example.org", "vpn.example.com",
           "shop.example.net"]


def run(daemon, resolver, browser, folder):
    browser.sign_in_by_link(daemon.link())
    for domain in DOMAINS:
        account = daemon.register(note=domain)
        resolver.set(f"_acme-challenge.{domain}", account["fulldomain"])
        daemon.publish(account, random_value())
        ask_from_everywhere(daemon, account["fulldomain"])
    daemon.register(note="new.example.org")
    good = create(browser, "app.example.com")
    resolver.set("_acme-challenge.app.example.com", good["fulldomain"])
    daemon.publish(good, random_value())
    ask_from_everywhere(daemon, good["fulldomain"])
    bad = create(browser, "api.example.net", client="lego")
    resolver.set("_acme-challenge.api.example.net", bad["fulldomain"])
    went_wrong(daemon, bad)
    take(browser, folder, "overview", "/")
    take(browser, folder, "accounts", "/accounts")
    for name, account in [("good", good), ("bad", bad)]:
        page = f"/accounts/{account['username']}"
        browser.get(page)
        until("the time line", lambda: browser.all(".timeline"))
        take(browser, folder, f"validation-{name}", page, "#validations")
    take(browser, folder, "create", "/accounts/new")


def went_wrong(daemon, account):
    """After a good validation, one where a network asks before the publication, and two do not ask at all."""
    daemon.publish(account, random_value())
    ask_from_everywhere(daemon, account["fulldomain"])
    for network in (15, 16):
        ask(daemon, account["fulldomain"], f"127.0.{network}.1")
    daemon.publish(account, random_value())
    for network in (11, 12, 13):
        ask(daemon, account["fulldomain"], f"127.0.{network}.1")


def take(browser, folder, name, path, section=None):
    for look, (width, height, dark) in LOOKS.items():
        file = os.path.join(folder, f"{name}-{look}.png")
        with check(f"{os.path.basename(file)} is written, and under 150 KiB"):
            browser.size(width, height, dark)
            browser.get(path)
            if section:
                browser.run("document.querySelector(arguments[0]).scrollIntoView()", section)
            # Two frames later the page is drawn.
            browser.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
            data = base64.b64decode(browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
            with open(file, "wb") as picture:
                picture.write(data)
            if shutil.which("pngquant"):
                subprocess.run(["pngquant", "--force", "--strip", "--speed", "1", "--output", file, file], check=True)
            size = os.path.getsize(file)
            assert size < LIMIT, f"{size} bytes"
