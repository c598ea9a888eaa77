"""What holds for every page: accessibility, width, weight, keyboard, and that nothing is asked of others."""

import os
import urllib.parse

from selenium.webdriver.common.keys import Keys

import keyboard
from browser import Browser
from ca import Authority
from daemon import Daemon
from http_client import Client
from names import Resolver
from results import check, contains, equal, until

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 100 * 1024
WIDTHS = (1440, 390)
PAGES = [("overview", "/"), ("accounts", "/accounts"), ("certificates", "/certificates"), ("doctor", "/doctor"),
         ("queries", "/queries"), ("sessions", "/sessions")]
# Whatever a person may operate.
OPERABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ['violations'] }).then(
  (found) => done(found.violations.filter((each) => ['serious', 'critical'].includes(each.impact)).map(
    (each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`)),
  (error) => done([String(error)]))
"""
# Each operable element that can be seen, by its place in the document.
COUNT = """
window.operable = [...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility() && !each.disabled
  && each.tabIndex >= 0);
return window.operable.length
"""
# The place of the element with the focus, and whether it shows that it has it.
FOCUSED = """
const each = document.activeElement, style = getComputedStyle(each), box = each.getBoundingClientRect();
return [window.operable.indexOf(each), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
  box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight, each.outerHTML.slice(0, 120)]
"""

# What of a time line reaches beyond its panel or the screen, is cut off, or overlaps another text of its row.
CUT = """
const found = [], say = (each, why) => found.push(`${each.textContent.trim()}: ${why}`);
const isApart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
for (const row of document.querySelectorAll('.timeline > div')) {
  const panel = row.closest('.panel').getBoundingClientRect(), boxes = [];
  for (const each of row.querySelectorAll('text, .network, .words')) {
    const box = each.getBoundingClientRect();
    if (!each.textContent.trim()) continue;
    if (box.left < panel.left || box.right > Math.min(panel.right, innerWidth)) say(each, 'beyond the panel');
    if (each instanceof HTMLElement && each.scrollWidth > each.clientWidth + 1) say(each, 'cut off');
    if (!boxes.every((other) => isApart(box, other))) say(each, 'overlaps');
    boxes.push(box);
  }
}
return [document.querySelectorAll('.timeline .lane').length, found]
"""
# Two certificates that cannot be had: the CA is not there, and a record is missing.
PROBLEMS = """
[acme]
directory = "http://127.0.0.1:1/a/directory/with/a/path/that/is/longer/than/most/directories/of/certificate/authorities"
terms-agreed = true
[[certificate]]
name = "zone"
names = ["auth.example.org"]
[[certificate]]
name = "shop"
names = ["a-rather-long-name-of-a-host.in-a-rather-long-name-of-a-domain.example.com", "shop.example.net"]
"""
# One that a CA issues, and one that lacks its record.
ISSUED = """
[acme]
directory = "{directory}"
ca-root = "{root}"
terms-agreed = true
[[certificate]]
name = "auth"
names = ["auth.example.org", "*.auth.example.org"]
[[certificate]]
name = "shop"
names = ["shop.example.net"]
"""


def accessible(browser, paths):
    """axe-core finds nothing serious, in any look; and no page scrolls sideways."""
    with open(os.path.join(HERE, "axe.min.js"), encoding="utf-8") as file:
        axe = file.read()
    for name, path in paths:
        browser.get(path)
        for width in WIDTHS:
            for dark in (False, True):
                look = f"{name}, {width} wide, {'dark' if dark else 'light'}"
                browser.size(width, dark=dark)
                with check(f"axe-core: {look}"):
                    browser.run(axe)
                    equal(browser.driver.execute_async_script(AXE), [])
            with check(f"no scrolling sideways: {name}, {width} wide"):
                widths = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
                if widths[0] > min(widths[1], width):
                    raise AssertionError(f"the content is {widths[0]} wide on a screen of {width}")
    browser.size(1440)


def by_keyboard(browser, paths):
    """Tab reaches whatever can be operated, and the focus can be seen. Parts that events replace would be counted anew."""
    quiet = browser.without_events()
    for name, path in paths:
        browser.get(path)
        with check(f"the keyboard reaches everything: {name}"):
            for details in browser.all("details:not([open])"):
                browser.run("arguments[0].open = true", details)
            count = browser.run(COUNT, OPERABLE)
            browser.run("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
            reached, faults = set(), []
            for _ in range(count + 5):
                browser.driver.switch_to.active_element.send_keys(Keys.TAB)
                place, has_outline, is_seen, element = browser.run(FOCUSED)
                reached.add(place)
                if place >= 0 and not (has_outline and is_seen):
                    faults.append(element)
                if len(reached - {-1}) == count:
                    break
            missed = [browser.run("return window.operable[arguments[0]].outerHTML.slice(0, 120)", place)
                      for place in range(count) if place not in reached]
            equal((missed, faults), ([], []))
    browser.with_events(quiet)


def light(client, paths):
    """The page with all that it loads."""
    for name, path in paths:
        with check(f"under 100 KiB: {name}"):
            page = client.get(path)
            equal(page.status, 200)
            files = {part.split('"')[0] for part in page.text.split('"/assets/')[1:]}
            sizes = {file: len(client.get(f"/assets/{file}").text.encode()) for file in files}
            total = len(page.text.encode()) + sum(sizes.values())
            if total > LIMIT:
                raise AssertionError(f"{total} bytes: the page {len(page.text.encode())}, {sizes}")


def alone(browser, console):
    """Since `hosts` was last called, the browser has asked nobody but the console."""
    with check("no page asks another host for anything"):
        equal(browser.hosts(), {urllib.parse.urlsplit(console).netloc})


def clean(browser, name):
    """The browser has reported neither a violation of the policy nor a fault of a script."""
    with check(f"the browser has nothing to complain about: {name}"):
        equal([line for line in browser.complaints() if "favicon" not in line], [])


def structured(browser, paths):
    """Headings in order, one h1, a main part, a title; each page says where it is."""
    for name, path in paths:
        browser.get(path)
        with check(f"headings in order, and a title: {name}"):
            levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))")
            equal((levels[:1], levels.count(1)), ([1], 1))
            equal([pair for pair in zip(levels, levels[1:]) if pair[1] > pair[0] + 1], [])
            contains(browser.driver.title, "txtgate")
            equal(len(browser.all("main")), 1)


def by_enter(daemon, work):
    """Signing in and out, with keys alone."""
    with check("sign-in and sign-out with keys alone"):
        browser = Browser(daemon.console, work)
        token, _ = daemon.token("read")
        browser.get("/sign-in")
        active = browser.driver.switch_to.active_element
        equal(active.get_attribute("name"), "token")
        active.send_keys(token, Keys.ENTER)
        browser.wait("the session", lambda: browser.all("form[action='/sign-out']"))
        for _ in range(40):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            if browser.driver.switch_to.active_element.text == "Sign out":
                break
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        browser.wait_path("/sign-in")
        browser.quit()
    with check("the first Tab leads to the link that skips the navigation"):
        browser = Browser(daemon.console, work)
        browser.sign_in_by_link(daemon.link("read"))
        browser.get("/sessions")
        browser.find("body").send_keys(Keys.TAB)
        link = browser.driver.switch_to.active_element
        equal(link.text, "Skip to the content")
        link.send_keys(Keys.ENTER)
        equal(browser.run("return document.activeElement.id"), "content")
        browser.quit()


def drawn(browser, path):
    """The time lines are whole, on a wide screen and on a phone."""
    for width in (*WIDTHS, 900):
        with check(f"nothing of the time lines is cut off or overlaps, {width} wide"):
            browser.size(width)
            browser.get(path)
            lanes, found = browser.run(CUT)
            equal((lanes >= 6, found), (True, []))
    browser.size(1440)


def one_screen(binary, work, resolver):
    """The overview with two long problems."""
    daemon = Daemon(binary, os.path.join(work, "problems"), resolver.address, console=PROBLEMS)
    browser = Browser(daemon.console, work)
    try:
        browser.sign_in_by_link(daemon.link("read"))
        browser.size(1440, 900)
        with check("two long problems come first, with what to do, and leave room for the rest on one screen"):
            until("two problems", lambda: len(browser.get("/").all("#attention summary")) == 2)
            equal(browser.run("return document.querySelector('main > h1').nextElementSibling.id"), "attention")
            for summary in browser.all("#attention summary"):
                contains(summary.text, "What to do: ")
                equal(summary.size["height"] < 60, True)
            height = browser.run("return document.documentElement.scrollHeight")
            if height > 900:
                raise AssertionError(f"the overview is {height} high")
        with check("a problem unfolds to all that is known"):
            browser.find("#problem-0 summary").click()
            browser.wait_text("next attempt", "#problem-0")
        with check("no scrolling sideways: an overview with problems, 390 wide"):
            browser.size(390)
            browser.get("/")
            equal(browser.run("return document.documentElement.scrollWidth"), 390)
    finally:
        browser.quit()
        daemon.stop()


def of_certificates(binary, work):
    """The pages of certificates, with a CA that issues one."""
    resolver = Resolver("auth.example.org")
    authority = Authority(os.path.join(work, "ca"), resolver.address)
    settings = ISSUED.format(directory=authority.directory, root=authority.root)
    daemon = Daemon(binary, os.path.join(work, "issued"), resolver.address, console=settings)
    resolver.daemon = daemon.dns
    browser = Browser(daemon.console, work)
    try:
        browser.sign_in_by_link(daemon.link())
        paths = [("certificates", "/certificates"), ("a certificate", "/certificates/auth"),
                 ("a certificate that fails", "/certificates/shop"), ("revocation", "/certificates/auth/revoke")]
        until("a certificate", lambda: "well" in browser.get("/certificates").text("main"))
        accessible(browser, paths)
        structured(browser, paths)
        by_keyboard(browser, paths)
        keyboard.certificates(daemon, browser)
        clean(browser, "the pages of certificates")
    finally:
        browser.quit()
        daemon.stop()
        authority.stop()


def for_nobody(daemon, work):
    """The pages that need no session, and those of an account's holder."""
    browser = Browser(daemon.console, work)
    paths = [("the sign-in", "/sign-in"), ("a link", "/link/" + "l" * 40)]
    accessible(browser, paths)
    structured(browser, paths)
    account = daemon.register(note="the holder's")
    browser.get("/sign-in")
    browser.fill("username", account["username"])
    browser.fill("password", account["password"])
    browser.find("input[name='password']").submit()
    browser.wait_path(f"/accounts/{account['username']}")
    paths = [("the holder's account", f"/accounts/{account['username']}"), ("what is not the holder's", "/doctor"),
             ("what is unknown", "/nowhere")]
    accessible(browser, paths)
    structured(browser, paths)
    browser.quit()


def run(daemon, work, browser, account):
    """Each check for each page of an operator."""
    page = f"/accounts/{account['username']}"
    paths = PAGES + [("an account", page), ("deletion", f"{page}/delete"), ("the form of a new account", "/accounts/new")]
    browser.sign_in_by_link(daemon.link())
    browser.hosts()
    drawn(browser, page)
    accessible(browser, paths)
    structured(browser, paths)
    by_keyboard(browser, paths)
    light(Client(daemon.console).sign_in_by_link(daemon.link()), paths)
    by_enter(daemon, work)
    for_nobody(daemon, work)
    alone(browser, daemon.console)
