"""Markup in every field that others fill: it is shown as text, and no script runs."""

import urllib.parse

import dns.message
import dns.name
import dns.query

from browser import Browser
from http_client import Client
from results import check, contains, equal, until
from security import PROBE

CANARY = "return window.owned === undefined && !document.querySelector('img[src=x], svg[onload]')"

# Fills fields with a text, whatever they are for.
FILL = """
for (const each of arguments[0]) {
  for (const limit of ['maxlength', 'minlength', 'pattern']) each.removeAttribute(limit);
  if (each.tagName === 'SELECT') each.add(new Option(arguments[1]));
  each.value = arguments[1];
}
"""


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
        for place in ["/accounts/new", page, "/doctor"]:
            browser.get(place)
            for number in range(len(browser.all("main form[method='post']"))):
                browser.get(place)
                form = browser.all("main form[method='post']")[number]
                if form.get_attribute("action").endswith("/disable"):
                    continue
                fields = form.find_elements("css selector", "input:not([name=csrf]), select, textarea")
                browser.run(FILL, fields, probe)
                browser.run("arguments[0].submit()", form)
                browser.wait("the reply", lambda: browser.run("return document.readyState") == "complete")
                equal(browser.run(CANARY), True)
    with check("a probe as the name of a query is shown as text"):
        browser.get("/queries")
        name = dns.name.Name([probe[:60].encode(), b"auth", b"example", b"org", b""])
        dns.query.udp(dns.message.make_query(name, "TXT"), daemon.dns[0], port=daemon.dns[1])
        until("the query", lambda: "onerror" in browser.get("/queries").text("main"))
        equal(browser.run(CANARY), True)
    with check("a probe in each field of the sign-in is refused, and shown as text"):
        other = Browser(daemon.console, work)
        for number in range(2):
            other.get("/sign-in?next=" + quoted)
            form = other.all("form")[number]
            other.run(FILL, form.find_elements("css selector", "input"), probe)
            other.run("arguments[0].submit()", form)
            other.wait("the reply", lambda: other.run("return document.readyState") == "complete")
            equal(other.run(CANARY), True)
            equal(other.heading(), "Sign in")
        other.quit()
    with check("the browser has refused no script of ours, and run none of others"):
        equal([each for each in browser.complaints() if "Content Security Policy" in each or "Uncaught" in each], [])
    browser.get("/")
    browser.press("Sign out")
