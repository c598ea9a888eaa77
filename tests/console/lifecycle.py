"""An account from its creation to its end, seen by two browsers."""

import re

from browser import Browser
from daemon import random_value
from names import ask_from_everywhere
from results import check, contains, equal, until

DOMAIN = "shop.example.com"
CHALLENGE = f"_acme-challenge.{DOMAIN}"
# Notes what moves without anybody's doing, although it stands before the part that grows.
SHIFTS = """
window.moved = [];
new PerformanceObserver((list) => { for (const each of list.getEntries()) if (!each.hadRecentInput) {
  const grows = document.getElementById('validations');
  for (const { node } of each.sources) {
    if (!node || !grows || !(grows.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING)) continue;
    window.moved.push(node.id || node.outerHTML || node.textContent);
  }
} }).observe({ type: 'layout-shift' })
"""


def create(browser, domain, networks="", client="certbot"):
    """Creates an account in three fields, and returns its credentials as the page shows them once."""
    browser.get("/accounts/new")
    browser.fill("domain", domain)
    browser.fill("networks", networks)
    browser.fill("client", client)
    browser.press("Create the account")
    if not browser.path.startswith("/accounts/") or browser.path.startswith("/accounts/new"):
        raise AssertionError(f"no account: {browser.text('main')[:400]}")
    return shown_once(browser)


def shown_once(browser):
    browser.wait("the new key", lambda: browser.all("#new-key"))
    codes = browser.texts("#new-key .copyable code")
    username = browser.path.split("/")[2].split("?")[0]
    name = re.search(r"([0-9a-z-]+)\.auth\.example\.org", browser.text("#delegation")).group(1)
    return {"username": username, "password": codes[1], "subdomain": name, "fulldomain": f"{name}.auth.example.org"}


def run(daemon, resolver, work, browser):
    """Returns the account."""
    browser.sign_in_by_link(daemon.link())
    second = Browser(daemon.console, work)
    second.sign_in_by_link(daemon.link("read"))
    second.get("/accounts")
    second.wait_text("Updates by itself", "#live-state")
    second.run("window.stays = true;" + SHIFTS)

    with check("an account is created in three fields, and its page has the CNAME and the settings"):
        account = create(browser, DOMAIN, "127.0.0.0/8")
        contains(browser.text("#delegation"), f"{CHALLENGE}. ")
        contains(browser.text("#delegation"), account["fulldomain"])
        contains(browser.text("#settings"), account["password"])
    with check("a second browser sees the new account without a reload"):
        second.wait_text(DOMAIN, "#accounts")
        equal(second.run("return window.stays"), True)
    with check("the password is shown once"):
        browser.get(f"/accounts/{account['username']}")
        equal(account["password"] in browser.driver.page_source, False)
    with check("the page comes although the resolver is silent, and says so; its link leads to the same page"):
        resolver.is_silent = True
        browser.get(f"/accounts/{account['username']}?domain=silent.example.com")
        contains(browser.text("#asked-domain"), "Looking it up")
        equal(browser.run("return document.querySelector('#asked-domain a').search"), "?domain=silent.example.com")
        browser.run("window.stays = true")
        resolver.is_silent = False
    with check("the state arrives by itself when the resolver answers"):
        browser.wait_text("CNAME missing", "#asked-domain")
        equal(browser.run("return window.stays"), True)
        browser.get(f"/accounts/{account['username']}")
    with check("the page says that the CNAME is missing"):
        browser.wait_text("CNAME missing", "#delegations")
    with check("the check goes green by itself when the CNAME appears"):
        resolver.set(CHALLENGE, account["fulldomain"])
        browser.wait_text("CNAME in place", "#delegations")
    validation(daemon, browser, second, account)
    with check("the page sees that the CNAME leads elsewhere now"):
        resolver.set(CHALLENGE, "elsewhere.example.net")
        page = f"/accounts/{account['username']}"
        until("the new state", lambda: "CNAME missing or wrong" in browser.get(page).text("#delegations"))
        contains(browser.text("#delegations"), "elsewhere.example.net")
    stop_and_go(daemon, browser, second, account)
    second.quit()
    with check("whatever was done stands among the last changes, with who did it"):
        browser.get(f"/accounts/{account['username']}")
        contains(browser.text("#history"), "the operator (console, sign-in link, 127.0.0.1)")
    with check("sign-out"):
        browser.press("Sign out")
        browser.get(f"/accounts/{account['username']}")
        equal(browser.heading(), "Sign in")
    return account


def validation(daemon, browser, second, account):
    value = random_value()
    second.get(f"/accounts/{account['username']}")
    second.wait_text("Updates by itself", "#live-state")
    second.run("window.stays = true;" + SHIFTS)
    with check("the account publishes through the real API, and six resolvers get the value"):
        daemon.publish(account, value)
        equal(ask_from_everywhere(daemon, account["fulldomain"]), [[value]] * 6)
    for name, each in [("the browser", browser), ("a second browser", second)]:
        with check(f"{name} shows the validation as it happened: a lane for each of six networks, all good"):
            lanes = lambda each=each: each.run("return document.querySelectorAll('.timeline .lane.good').length")
            until("six lanes", lambda: lanes() == 6)
            contains(each.text("#values"), "Served")
            contains(each.text("#values"), value)
    with check("the drawing has a name, and its content stands in a table as well"):
        svg = browser.find(".timeline")
        equal(svg.get_attribute("role"), "img")
        browser.click(lambda: browser.find("#validation-0-table summary"))
        contains(browser.text("#validation-0-table"), "127.0.16.0/24")
    with check("a second browser was not loaded again, and what it shows above the validation stayed in its place"):
        equal(second.run("return window.stays"), True)
        equal(second.run("return window.moved"), [])


def stop_and_go(daemon, browser, second, account):
    page = f"/accounts/{account['username']}"
    with check("an account is disabled: its values are gone, its key does not work, and both browsers say so"):
        browser.press("Disable")
        contains(browser.text(), "This account is disabled")
        second.wait_text("This account is disabled")
        equal(ask_from_everywhere(daemon, account["fulldomain"], 1), [[]])
        headers = {"X-Api-User": account["username"], "X-Api-Key": account["password"]}
        body = {"subdomain": account["subdomain"], "txt": random_value()}
        equal(daemon.request("POST", "/update", body, headers)[0], 401)
    with check("a browser with the scope read has no buttons that change anything"):
        second.get(page)
        equal([text for text in second.texts("main button") if text in ("Enable", "Save", "Disable")], [])
    with check("an account is enabled again"):
        browser.get(page)
        browser.press("Enable")
        daemon.publish(account, random_value())
    with check("networks are narrowed, and a wrong one is refused with what was typed"):
        browser.fill("networks", "10.9.9.9/99", "form[action$='/edit']")
        browser.press("Save")
        contains(browser.find("form[action$='/edit'] [name='networks']").get_attribute("value"), "10.9.9.9/99")
        equal(len(browser.all("[role='alert']")), 1)
        # No event may load the form's address, which takes no GET, or send the form again.
        equal(browser.find("body").get_attribute("data-events"), None)
        browser.fill("networks", "10.9.9.0/24", "form[action$='/edit']")
        browser.press("Save")
        contains(browser.text("#facts"), "10.9.9.0/24")
    with check("a key is rotated, and the new one works where the networks allow it"):
        browser.fill("networks", "127.0.0.1/32", "form[action$='/edit']")
        browser.press("Save")
        browser.press("Rotate the key")
        renewed = shown_once(browser)
        equal(renewed["password"] == account["password"], False)
        daemon.publish(renewed, random_value())
    with check("an alias is added"):
        browser.get(page)
        browser.fill("alias", "_acme-challenge.alias.example.com", "form[action$='/aliases']")
        browser.press(browser.text("form[action$='/aliases'] button"), "form[action$='/aliases']")
        contains(browser.text("#delegation"), "_acme-challenge.alias.example.com")
    with check("an account is deleted after a question, and restored"):
        browser.get(page + "/delete")
        browser.press(browser.text("main form button"), "main form")
        browser.get(page)
        contains(browser.text(), "This account is deleted")
        browser.press("Restore")
        equal("This account is deleted" in browser.text(), False)


def without_scripts(daemon, work):
    """The same in short, in a browser that runs no scripts."""
    with check("without JavaScript: sign in, create, disable, sign out"):
        browser = Browser(daemon.console, work, scripts=False)
        browser.driver.get("data:text/html,<title>off</title><script>document.title = 'on'</script>")
        equal(browser.driver.title, "off")
        browser.sign_in_by_link(daemon.link())
        account = create(browser, "plain.example.com")
        equal(len(account["password"]), 40)
        browser.press("Disable")
        contains(browser.text(), "This account is disabled")
        browser.press("Sign out")
        equal(browser.path, "/sign-in")
        browser.quit()
