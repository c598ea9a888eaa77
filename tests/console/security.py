"""What is refused, over bare HTTP and in a browser."""

import http.server
import threading

from http_client import Client
from results import check, contains, equal

PROBE = """<img src=x onerror="window.owned=1"><script>window.owned=1</script>"'><svg onload=window.owned=1>"""


def run(daemon, work, operator):
    forms(daemon)
    hosts(daemon)
    stolen_cookies(daemon)
    scopes(daemon)
    redirects(daemon)
    delays(daemon)
    headers(daemon)
    framing(daemon, operator)
    other_site_posts(daemon, operator)


def forms(daemon):
    client = Client(daemon.console).sign_in_by_link(daemon.link())
    csrf = client.csrf()
    stay = ("/sessions/4294967295/end", {"csrf": csrf})
    with check("a form with the session's secret is accepted as far as its session goes"):
        equal(client.post(*stay).status, 404)
    for name, form in [("no", {}), ("an empty", {"csrf": ""}), ("a wrong", {"csrf": "x" * len(csrf)})]:
        with check(f"a form with {name} csrf field is refused"):
            reply = client.post("/sign-out", form)
            equal(reply.status, 403)
            contains(reply.text, "form belongs to another session")
    with check("the csrf secret of another session is refused"):
        other = Client(daemon.console).sign_in_by_link(daemon.link())
        equal(client.post("/sign-out", {"csrf": other.csrf()}).status, 403)
    for origin in [None, "null", "http://evil.example", daemon.console.replace("127.0.0.1", "127.0.0.2"),
                   daemon.console.rsplit(":", 1)[0] + ":1", ""]:
        with check(f"a form with Origin {origin!r} is refused"):
            equal(client.post("/sign-out", {"csrf": csrf}, {"Origin": origin}).status, 403)
    with check("a form that the browser calls cross-site is refused"):
        equal(client.post("/sign-out", {"csrf": csrf}, {"Sec-Fetch-Site": "cross-site"}).status, 403)
    with check("a sign-in sent by a page elsewhere is refused"):
        equal(Client(daemon.console).send("POST", "/sign-in", {"token": "x"}, {"Origin": "http://evil.example"}).status, 403)
    with check("pages change nothing by GET, and other methods get 405"):
        equal([client.get("/sign-out").status, client.send("DELETE", "/sessions").status], [405, 403])
    with check("a form of 10 MiB is refused, and the daemon goes on"):
        try:
            status = client.post("/sign-in", {"token": "x" * 10_000_000}).status
        except OSError:  # the daemon need not read it all
            status = 413
        equal((status, client.get("/sessions").status), (413, 200))


def hosts(daemon):
    client = Client(daemon.console).sign_in_by_link(daemon.link())
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", None, ""]:
        with check(f"a request with Host {host!r} is refused"):
            reply = client.send("GET", "/sessions", headers={"Host": host})
            contains([400, 421], reply.status)
            if "<form" in reply.text:
                raise AssertionError("the page has forms")


def stolen_cookies(daemon):
    with check("a cookie that was copied stops working with the sign-out"):
        client = Client(daemon.console).sign_in_by_link(daemon.link())
        thief = Client(daemon.console)
        thief.cookie = client.cookie
        equal(thief.get("/sessions").status, 200)
        equal(client.post("/sign-out", {"csrf": client.csrf()}).location, "/sign-in")
        equal(thief.get("/sessions").location, "/sign-in?next=%2Fsessions")
    with check("a cookie that was copied stops working when the session is ended from the list"):
        client = Client(daemon.console).sign_in_by_link(daemon.link())
        other = Client(daemon.console)
        equal(other.post(daemon.link().replace(daemon.console, ""), {}, {"User-Agent": "ends soon"}).status, 303)
        page = client.get("/sessions").text
        number = page.split("ends soon")[1].split("/sessions/")[1].split("/")[0]
        equal(client.post(f"/sessions/{number}/end", {"csrf": client.csrf()}).status, 303)
        equal(other.get("/sessions").location, "/sign-in?next=%2Fsessions")
    with check("each sign-in makes a new secret: a cookie that was planted before is not taken over"):
        client = Client(daemon.console)
        client.cookie = planted = "txtgate=" + "a" * 40
        client.sign_in_by_link(daemon.link())
        if client.cookie == planted:
            raise AssertionError("the planted cookie is the session's")
        client.cookie = planted
        equal(client.get("/sessions").status, 303)


def scopes(daemon):
    account = daemon.register(note="scopes")
    own = f"/accounts/{account['username']}"
    holder = Client(daemon.console)
    equal(holder.sign_in(username=account["username"], password=account["password"]).location, own)
    other = daemon.register(note="not the holder's")
    for path in ["/accounts", f"/accounts/{other['username']}", "/certificates", "/doctor", "/queries", "/accounts/new"]:
        with check(f"the holder of an account is refused at {path.replace(other['username'], 'another account')}"):
            reply = holder.get(path)
            equal((reply.status in (303, 403), "not the holder" in reply.text), (True, False))
            # The list leads to the one account that there is.
            equal(reply.location, own if path == "/accounts" else None)
    with check("the holder sees no sessions of others, and ends none"):
        operator = Client(daemon.console).sign_in_by_link(daemon.link())
        page = operator.get("/sessions").text
        number = page.split("/sessions/")[1].split("/")[0]
        equal("operator" in holder.get("/sessions").text, False)
        equal(holder.post(f"/sessions/{number}/end", {"csrf": holder.csrf()}).status, 404)
    with check("the events of a session need the session"):
        equal(Client(daemon.console).get("/events", Accept="text/event-stream").status, 303)
    reader = Client(daemon.console).sign_in_by_link(daemon.link("read"))
    with check("a session with the scope read ends no session of the scope all"):
        equal(reader.post(f"/sessions/{number}/end", {"csrf": reader.csrf()}).status, 404)


def redirects(daemon):
    token, _ = daemon.token("read")
    for place in ["https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
                  "/\t/evil.example", "/\r\nset-cookie: a=b", "/%0d%0aset-cookie:a=b"]:
        with check(f"a sign-in with next {place!r} leads nowhere else"):
            client = Client(daemon.console)
            reply = client.sign_in(token=token, next=place)
            if reply.location not in ("/", place) or (reply.location == place and "%0d" not in place):
                raise AssertionError(f"it leads to {reply.location!r}")
            equal(len(reply.headers.get_all("set-cookie")), 1)


def delays(daemon):
    wrong = "w" * 43
    client = Client(daemon.console, source="127.0.40.1")
    with check("wrong tokens are delayed more and more, with the time to wait"):
        replies = [client.sign_in(token=wrong) for _ in range(7)]
        equal([reply.status for reply in replies], [401] * 5 + [429] * 2)
        contains(replies[-1].text, "Too many attempts from your network")
        if int(replies[-1].headers["retry-after"]) < 1:
            raise AssertionError("no time to wait")
    with check("the right token waits as well, so that a guess says nothing"):
        token, _ = daemon.token("read")
        equal(client.sign_in(token=token).status, 429)
    with check("links and account keys are delayed with them, and other networks are not"):
        equal(client.post("/link/" + "l" * 40, {}).status, 429)
        equal(client.sign_in(username="00000000-0000-4000-8000-000000000000", password="p" * 40).status, 429)
        equal(Client(daemon.console, source="127.0.41.1").sign_in(token=token).status, 303)


def headers(daemon):
    client = Client(daemon.console).sign_in_by_link(daemon.link())
    anonymous = Client(daemon.console)
    for name, reply in [("a page", client.get("/sessions")), ("the sign-in", anonymous.get("/sign-in")),
                        ("an error", client.get("/nowhere")), ("a redirect", anonymous.get("/")),
                        ("a refused host", client.send("GET", "/", headers={"Host": "evil.example"}))]:
        with check(f"{name} has the strict policy, forbids framing, and is not stored"):
            policy = reply.headers["content-security-policy"]
            contains(policy, "default-src 'none'")
            contains(policy, "frame-ancestors 'none'")
            equal([word for word in ("unsafe", "*", "http", "data:") if word in policy], [])
            equal(reply.headers["x-frame-options"], "DENY")
            equal(reply.headers["cache-control"], "no-store")
            equal(reply.headers["x-content-type-options"], "nosniff")
    with check("pages have neither inline scripts nor inline styles"):
        for path in ["/", "/sessions", "/accounts", "/certificates", "/doctor", "/queries"]:
            page = client.get(path).text
            equal([part for part in (" style=", "<style", " onclick=", "javascript:") if part in page], [])


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A site elsewhere, as far as browsers are concerned: another port is another origin, but the same site for cookies."""

    page = ""

    def do_GET(self):
        body = self.page.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def site(page):
    """Serves a page on loopback, and returns its address."""
    handler = type("Page", (Elsewhere,), {"page": page})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:{}/".format(server.server_address[1])


def framing(daemon, browser):
    browser.sign_in_by_link(daemon.link())
    browser.get("/sessions")
    with check("a page elsewhere cannot frame the console"):
        browser.driver.get(site(f"<!doctype html><title>x</title><iframe src='{daemon.console}/sessions'></iframe>"))
        browser.driver.switch_to.frame(0)
        browser.wait("the frame", lambda: browser.run("return document.readyState") == "complete")
        address, shown = browser.run("return document.URL"), browser.text()
        browser.driver.switch_to.default_content()
        equal((address.startswith("chrome-error:"), "Sign out" in shown), (True, False))


def other_site_posts(daemon, browser):
    with check("a page elsewhere whose form carries the session's cookie changes nothing"):
        page = (f"<!doctype html><title>x</title><form method=post action='{daemon.console}/sign-out'>"
                "<input name=csrf value=guess><button>Go</button></form>")
        browser.driver.get(site(page))
        browser.press("Go")
        contains(browser.text(), "form was sent by a page elsewhere")
        browser.get("/sessions")
        equal(browser.heading(), "Sessions")
