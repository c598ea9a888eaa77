"""Markup in every field that others fill: it is shown as text, and no script runs."""

import urllib.parse

from http_client import Client
from results import check, contains, equal
from security import PROBE

CANARY = "return window.owned === undefined && !document.querySelector('img[src=x], svg[onload]')"


def run(daemon, work, browser):
    browser.sign_in_by_link(daemon.link())
    probe = PROBE[:200]
    account = daemon.register(note=probe)
    page = f"/accounts/{account['username']}"
    for name, path in [("a note in the list", "/accounts"), ("a note at the account", page)]:
        with check(f"a probe as {name} is shown as text"):
            browser.get(path)
            contains(browser.text("main"), probe)
            equal(browser.run(CANARY), True)
    with check("a probe as the browser's name is shown as text in the list of sessions"):
        other = Client(daemon.console)
        other.post(urllib.parse.urlsplit(daemon.link("read")).path, {}, {"User-Agent": PROBE})
        browser.get("/sessions")
        contains(browser.text("main"), PROBE[:100])
        equal(browser.run(CANARY), True)
    quoted = urllib.parse.quote(PROBE, safe="")
    for path in [f"/accounts?search={quoted}", f"/accounts?zone={quoted}", f"/accounts?state={quoted}", f"/accounts?sort={quoted}",
                 f"/accounts?after={quoted}", f"/accounts/{quoted}", f"{page}?domain={quoted}", f"{page}?client={quoted}",
                 f"/queries?name={quoted}", f"/queries?search={quoted}", f"/doctor?name={quoted}", f"/certificates/{quoted}",
                 f"/{quoted}", f"/sign-in?next={quoted}", f"/link/{quoted}"]:
        with check(f"a probe in the address runs no script: {path.replace(quoted, '...').replace(page, '/accounts/ACCOUNT')}"):
            browser.get(path)
            equal(browser.run(CANARY), True)
            equal([each.get_attribute("onerror") for each in browser.all("[onerror], [onload], [onclick]")], [])
    with check("a probe in each field of the forms is refused or shown as text"):
        for place in ["/accounts/new", page]:
            browser.get(place)
            for number in range(len(browser.all("main form[method='post']"))):
                browser.get(place)
                form = browser.all("main form[method='post']")[number]
                if form.get_attribute("action").endswith(("/disable", "/delete", "/rotate", "/tsig", "/retire")):
                    continue
                fields = form.find_elements("css selector", "input:not([type=hidden]), textarea")
                browser.run("for (const each of arguments[0]) { each.removeAttribute('maxlength'); each.removeAttribute('minlength');"
                            "each.removeAttribute('pattern'); each.value = arguments[1] }", fields, probe)
                browser.run("arguments[0].submit()", form)
                browser.wait("the reply", lambda: browser.run("return document.readyState") == "complete")
                equal(browser.run(CANARY), True)
    with check("the browser has refused no script of ours, and run none of others"):
        equal([each for each in browser.complaints() if "Content Security Policy" in each or "Uncaught" in each], [])
    browser.get("/")
    browser.press("Sign out")
