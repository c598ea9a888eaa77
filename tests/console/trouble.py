"""Bad input and bad times: each gets a page that says so, with the right status."""

import fcntl
import sqlite3
from contextlib import contextmanager

from http_client import Client
from results import check, contains, equal


def run(daemon, browser):
    unknown(daemon)
    database(daemon)
    restart(daemon, browser)


def unknown(daemon):
    client = Client(daemon.console).sign_in_by_link(daemon.link())
    nobody = "00000000-0000-4000-8000-000000000000"
    for path in ["/nowhere", f"/accounts/{nobody}", "/accounts/no-such-name", "/accounts/%3Cscript%3E",
                 "/certificates/no-such-name"]:
        with check(f"a page that says what is not found: {path}"):
            reply = client.get(path)
            equal(reply.status, 404)
            contains(reply.text, "<h1>")
            contains(reply.text, 'href="/"')
            equal("<script>" in reply.text, False)
    for path in ["/accounts?page=x", "/accounts?page=-1", "/accounts?page=99999999999999999999", "/accounts?state=nonsense",
                 "/accounts?search=" + "a" * 3000, "/accounts/%ff", "/sign-in?next=%ff", "/sessions/x/end"]:
        with check(f"a page for a request that makes no sense: {path[:40]}"):
            reply = client.get(path)
            if reply.status >= 500:
                raise AssertionError(f"status {reply.status}")
            contains(reply.text, "<h1>")
    csrf = client.csrf()
    for path in ["/sessions/x/end", "/sessions/999/end", f"/accounts/{nobody}/rotate", "/certificates/none/renew"]:
        with check(f"a form for what is unknown says so: {path.replace(nobody, 'NOBODY')}"):
            reply = client.post(path, {"csrf": csrf})
            equal(reply.status, 404)
            contains(reply.text, "<h1>")
            contains(reply.text, '<a href="/')
    with check("a form of a session that has ended says so, and leads back to its page"):
        late = Client(daemon.console).sign_in_by_link(daemon.link())
        csrf = late.csrf()
        late.post("/sign-out", {"csrf": csrf})
        reply = late.post("/accounts", {"csrf": csrf}, {"Referer": f"{daemon.console}/accounts/new"})
        equal(reply.status, 401)
        contains(reply.text, "session has ended")
        contains(reply.text, 'href="/sign-in?next=%2Faccounts%2Fnew"')
    with check("a link that nobody made is refused, and says which command makes one"):
        reply = Client(daemon.console, "127.0.50.1").post("/link/" + "x" * 40, {})
        equal(reply.status, 401)
        contains(reply.text, "txtgate console login")


@contextmanager
def readers_locked(daemon):
    """Nobody can read the database: the locks that SQLite's readers take (of its format 3, section 2.2) are held."""
    with open(f"{daemon.folder}/txtgate.db-shm", "r+b") as shared:
        fcntl.lockf(shared, fcntl.LOCK_EX, 8, 120)
        yield


@contextmanager
def writers_locked(daemon):
    """Another program writes to the database, and does not end."""
    other = sqlite3.connect(f"{daemon.folder}/txtgate.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def database(daemon):
    token, _ = daemon.token("all")
    client = Client(daemon.console)
    equal(client.sign_in(token=token).status, 303)
    with readers_locked(daemon):
        with check("with a database that cannot be read, pages say so, with 503"):
            reply = client.get("/accounts")
            equal(reply.status, 503)
            contains(reply.text, "database")
            contains(reply.text, "txtgate status")
        with check("with a database that cannot be read, a sign-in says so, and is not called wrong"):
            reply = Client(daemon.console).sign_in(token=token)
            equal(reply.status, 503)
            contains(reply.text, "database")
    with writers_locked(daemon):
        with check("with a database that cannot be written, a form says so, with 503"):
            form = {"csrf": client.csrf(), "domain": "locked.example.com", "networks": "", "client": "certbot"}
            reply = client.post("/accounts", form)
            equal(reply.status, 503)
            contains(reply.text, "cannot store changes")
    with check("the session goes on once the database can be read again"):
        equal(client.get("/accounts").status, 200)


def restart(daemon, browser):
    """The browser has a page with live updates open."""
    browser.sign_in_by_link(daemon.link())
    browser.get("/?open=1")
    with check("an open page says that it updates by itself"):
        browser.wait_text("Updates by itself", "#live-state")
    with check("an open page says that the daemon has stopped"):
        daemon.stop()
        browser.wait_text("The daemon has stopped", "#live-state")
    with check("after a restart, which ends sessions, the open page leads to the sign-in, and back"):
        daemon.start()
        browser.wait_path("/sign-in?next=%2F%3Fopen%3D1")
        token, _ = daemon.token("all")
        browser.fill("token", token)
        browser.find("input[name='token']").submit()
        browser.wait_path("/?open=1")
