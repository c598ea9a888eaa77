"""A client of the console that sends what no browser would."""

import http.client
import re
import socket
import urllib.parse


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode("utf-8", "replace")

    @property
    def location(self):
        return self.headers.get("location")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Client:
    """One browser's worth of cookies. `source` is the address that requests come from: failed sign-ins count by network."""

    def __init__(self, console, source="127.0.0.1", unix=None, host=None):
        self.netloc = host or urllib.parse.urlsplit(console).netloc
        self.connect_to = None if unix else urllib.parse.urlsplit(console).netloc
        self.origin = f"{'https' if unix else 'http'}://{self.netloc}"
        self.source, self.unix, self.cookie = source, unix, None

    def send(self, method, path, form=None, headers=None):
        if self.unix:
            connection = UnixConnection(self.unix)
        else:
            connection = http.client.HTTPConnection(self.connect_to, timeout=60, source_address=(self.source, 0))
        sent = {"Host": self.netloc}
        if self.cookie:
            sent["Cookie"] = self.cookie
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        # None removes a header.
        sent = {name: value for name, value in (sent | (headers or {})).items() if value is not None}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value.encode())
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        try:
            connection.endheaders(body.encode() if body is not None else None)
        except BrokenPipeError:
            # Refused by its headers alone: the reply is there, and nobody reads the body.
            pass
        reply = Reply(connection.getresponse())
        connection.close()
        for line in reply.headers.get_all("set-cookie") or []:
            pair = line.split(";")[0]
            self.cookie = None if pair.endswith("=") else pair
        return reply

    def get(self, path, **headers):
        return self.send("GET", path, headers=headers)

    def post(self, path, form, headers=None):
        return self.send("POST", path, form, headers)

    def csrf(self, path="/sessions"):
        """The secret of the session's forms, as a page of its has it."""
        return re.search(r'name="csrf" value="([^"]+)"', self.get(path).text).group(1)

    def sign_in_by_link(self, url):
        reply = self.post(urllib.parse.urlsplit(url).path, {})
        if reply.status != 303:
            raise AssertionError(f"the link: {reply.status} {reply.text[:300]}")
        return self

    def sign_in(self, **fields):
        return self.post("/sign-in", fields)
