"""Sign-in, sessions and sign-out, in browsers."""

from browser import Browser
from http_client import Client
from results import check, contains, equal


def run(daemon, work, operator):
    by_token(daemon, operator)
    by_link(daemon, work, operator)
    as_holder(daemon, operator)
    sessions(daemon, work, operator)


def fill_token(browser, token):
    browser.fill("token", token)
    browser.find("input[name='token']").submit()
    browser.wait("the session", lambda: browser.all("form[action='/sign-out']"))


def by_token(daemon, browser):
    token, _ = daemon.token("all", "--note", "tests")
    with check("a deep link survives the sign-in with a token"):
        browser.get("/sessions?from=elsewhere&a=b%20c")
        contains(browser.path, "/sign-in?next=")
        fill_token(browser, token)
        equal(browser.path, "/sessions?from=elsewhere&a=b%20c")
    with check("the cookie is HttpOnly, SameSite=Strict, and out of a script's reach"):
        cookie = browser.driver.get_cookie("txtgate")
        equal((cookie["httpOnly"], cookie["sameSite"]), (True, "Strict"))
        equal(browser.run("return document.cookie"), "")
    with check("sign-out leads to the sign-in, and pages need a session again"):
        browser.press("Sign out")
        equal(browser.path, "/sign-in")
        browser.get("/")
        equal(browser.heading(), "Sign in")


def by_link(daemon, work, browser):
    with check("a link signs in when its button is pressed"):
        url = daemon.link()
        browser.sign_in_by_link(url)
        equal(browser.heading(), "Overview")
    with check("a link works once"):
        other = Browser(daemon.console, work)
        other.driver.get(url)
        other.press("Sign in")
        contains(other.text(), "unknown, too old, or has been used")
        other.quit()


def as_holder(daemon, browser):
    account = daemon.register(note="the holder's")
    browser.press("Sign out")
    with check("the holder of an account signs in with its username and password, and lands at the account"):
        browser.fill("username", account["username"])
        browser.fill("password", account["password"])
        browser.find("input[name='password']").submit()
        browser.wait_path(f"/accounts/{account['username']}")
    with check("the holder's navigation has the account alone"):
        equal(browser.texts("nav a"), ["My account"])
    browser.press("Sign out")


def sessions(daemon, work, browser):
    browser.sign_in_by_link(daemon.link())
    other = Browser(daemon.console, work, agent="Mozilla/5.0 second browser")
    other.sign_in_by_link(daemon.link("read"))
    with check("the list of sessions names the other browser, and ends its session"):
        browser.get("/sessions")
        row = next(row for row in browser.all("tbody tr") if "second browser" in row.text)
        contains(row.text, "operator (read)")
        row.find_element("css selector", "button").click()
        browser.agree()
        browser.wait("the end of the session", lambda: "second browser" not in browser.text("tbody"))
    with check("the other browser has to sign in again"):
        other.get("/sessions")
        equal(other.path, "/sign-in?next=%2Fsessions")
    other.quit()
    with check("a session ends with the token that made it"):
        token, number = daemon.token("read")
        client = Client(daemon.console, "127.0.30.1")
        equal(client.sign_in(token=token).status, 303)
        equal(client.get("/sessions").status, 200)
        daemon.cli("admin", "token", "revoke", number)
        equal(client.get("/sessions").location, "/sign-in?next=%2Fsessions")
