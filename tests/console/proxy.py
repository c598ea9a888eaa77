"""The console on a Unix socket, behind a proxy that signs users in."""

import os
import stat

from daemon import Daemon
from http_client import Client
from results import check, contains, equal

HEADER = "X-Remote-User"
HOST = "console.example.org"


def run(binary, work, resolver):
    folder = os.path.join(work, "proxied")
    listen = '"127.0.0.1:0", "unix:console.sock"'
    more = f'hosts = ["{HOST}"]\nuser-header = "{HEADER}"\nuser-scope = "accounts"'
    daemon = Daemon(binary, folder, resolver.address, listen, more)
    try:
        checks(daemon, os.path.join(folder, "console.sock"))
    finally:
        daemon.stop()


def checks(daemon, path):
    def client():
        return Client(daemon.console, unix=path, host=HOST)

    with check("the console's socket is open to the daemon's user and group alone"):
        equal(oct(stat.S_IMODE(os.stat(path).st_mode)), "0o660")
    with check("over the Unix socket, the proxy's user is signed in, without a cookie"):
        alice = client()
        page = alice.get("/sessions", **{HEADER: "alice"})
        equal((page.status, alice.cookie), (200, None))
        contains(page.text, "alice (accounts)")
        contains(page.text, "the proxy")
    with check("the user's forms need the secret of the user's session"):
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        form = {"csrf": csrf, "domain": "proxy.example.com", "networks": "", "client": "certbot"}
        equal(alice.post("/accounts", form | {"csrf": "guess"}, {HEADER: "alice"}).status, 403)
        equal(alice.post("/accounts", form, {HEADER: "bob"}).status, 403)
        equal(alice.post("/accounts", form, {HEADER: "alice", "Origin": "https://evil.example"}).status, 403)
        reply = alice.post("/accounts", form, {HEADER: "alice"})
        equal(reply.status, 303)
        contains(reply.location, "/accounts/")
    with check("the log names the user for what was done"):
        with open(daemon.log, encoding="utf-8") as log:
            contains(log.read(), 'user alice of the proxy')
    with check("over TCP the header is ignored"):
        reply = Client(daemon.console).get("/sessions", **{HEADER: "alice"})
        equal(reply.location, "/sign-in?next=%2Fsessions")
    for name, user in [("no header", None), ("an empty header", "")]:
        with check(f"over the Unix socket, {name} signs nobody in"):
            equal(client().get("/sessions", **{HEADER: user}).location, "/sign-in?next=%2Fsessions")
    for user in ["a" * 65, "\u00e4", "a\tb", "<script>alert(1)</script>" * 3]:
        with check(f"a user's name that is none is refused: {user[:12]!r}"):
            reply = client().get("/sessions", **{HEADER: user})
            equal(reply.status, 400)
            contains(reply.text, HEADER.lower())
    with check("a user's name is text"):
        page = client().get("/sessions", **{HEADER: "<b>x</b>"})
        equal(("<b>x</b>" in page.text, "&lt;b&gt;x&lt;/b&gt;" in page.text), (False, True))
    with check("the proxy's users reach no further than user-scope"):
        own = client().get("/sessions", **{HEADER: "alice"}).text.split('name="csrf" value="')[1].split('"')[0]
        equal(client().post("/doctor", {"csrf": own}, {HEADER: "alice"}).status in (403, 405), True)
    with check("a token signs in over the Unix socket too, with a cookie for TLS alone"):
        token, _ = daemon.token("all")
        other = client()
        reply = other.sign_in(token=token)
        equal(reply.status, 303)
        contains(reply.headers["set-cookie"], "__Host-txtgate=")
        contains(reply.headers["set-cookie"], "; Secure")
        equal(other.get("/sessions").status, 200)
        over_tcp = Client(daemon.console)
        over_tcp.cookie = other.cookie
        equal(over_tcp.get("/sessions").status, 303)
    with check("a user's session ends from the list, and its forms with it"):
        operator = Client(daemon.console).sign_in_by_link(daemon.link())
        before = client().get("/sessions", **{HEADER: "carol"}).text.split('name="csrf" value="')[1].split('"')[0]
        row = operator.get("/sessions").text.split("carol (accounts)")[1]
        number = row.split("/sessions/")[1].split("/")[0]
        equal(operator.post(f"/sessions/{number}/end", {"csrf": operator.csrf()}).status, 303)
        equal(client().post("/sign-out", {"csrf": before}, {HEADER: "carol"}).status, 403)
    with check("a user who guesses tokens delays no other user"):
        guesses = [client().post("/sign-in", {"token": "w" * 43}, {HEADER: "mallory"}).status for _ in range(7)]
        equal(guesses, [401] * 5 + [429] * 2)
        equal(client().post("/sign-in", {"token": token}, {HEADER: "mallory"}).status, 429)
        equal(client().post("/sign-in", {"token": token}, {HEADER: "alice"}).status, 303)
    with check("the proxy's host must be one of the console's"):
        equal(Client(daemon.console, unix=path, host="evil.example").get("/sessions", **{HEADER: "alice"}).status, 421)
