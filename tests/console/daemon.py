"""The daemon under test, and its API."""

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

from results import until

CONFIG = """\
database = "txtgate.db"
admin-socket = "txtgate.sock"
resolvers = ["{resolver}"]

[dns]
listen = ["127.0.0.1:0"]

[api]
listen = ["127.0.0.1:0"]
{api}

[metrics]
listen = ["127.0.0.1:0"]

[console]
listen = [{listen}]
{console}

[[zone]]
name = "auth.example.org"
ns = ["ns1.auth.example.org"]
contact = "hostmaster@example.org"
records = '''
ns1 A 127.0.0.1
'''
"""


class Daemon:
    """A daemon with a database of its own in a folder."""

    def __init__(self, binary, folder, resolver, listen='"127.0.0.1:0"', console="", api="", environment=None):
        os.makedirs(folder, exist_ok=True)
        self.environment = environment
        self.binary, self.folder = binary, folder
        self.config = os.path.join(folder, "txtgate.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(resolver=resolver, listen=listen, console=console, api=api))
        self.process = None
        self.start()

    def start(self):
        """Starts, and reads the addresses that it prints."""
        self.log = os.path.join(self.folder, "daemon.log")
        begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "-c", self.config, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment
            )

        def lines():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended by itself; its log: {self.log}")
            with open(self.log, encoding="utf-8") as file:
                file.seek(begin)
                return file.read()

        until("the daemon is ready", lambda: re.search(r"^ready$", lines(), re.M))
        text = lines()
        host, port = re.search(r"^dns (\S+):(\d+)$", text, re.M).groups()
        self.dns = (host, int(port))
        self.api = re.search(r"^api (\S+)$", text, re.M).group(1)
        console = re.search(r"^console (http\S+)$", text, re.M)
        self.console = console and console.group(1)

    def stop(self):
        """Ends the daemon, and waits for its end."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def pin(self):
        """Keeps the ports over restarts."""
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        for section, address in [("dns", "{}:{}".format(*self.dns)), ("api", self.api), ("console", self.console)]:
            address = address.removeprefix("http://")
            text = text.replace(f'[{section}]\nlisten = ["127.0.0.1:0"]', f'[{section}]\nlisten = ["{address}"]')
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def cli(self, *arguments):
        """Runs a command, and returns its JSON."""
        command = [self.binary, "-c", self.config, *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def link(self, scope="all"):
        """A link that signs in."""
        return self.cli("console", "login", "--scope", scope)["url"]

    def token(self, scope, *more):
        """A token: its secret and its number."""
        reply = self.cli("admin", "token", "create", "--scope", scope, *more)
        return reply["token"], str(reply["id"])

    def request(self, method, path, body=None, headers=()):
        """A request to the public API: its status and JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data=data, method=method, headers=dict(headers))
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def register(self, **members):
        """Registers an account through the real API."""
        status, reply = self.request("POST", "/register", members)
        if status != 201:
            raise AssertionError(f"/register: {status} {reply}")
        return reply

    def publish(self, account, value):
        """Publishes a value as an ACME client does."""
        headers = {"X-Api-User": account["username"], "X-Api-Key": account["password"]}
        body = {"subdomain": account["subdomain"], "txt": value}
        status, reply = self.request("POST", "/update", body, headers)
        if status != 200:
            raise AssertionError(f"/update: {status} {reply}")


def random_value():
    """A value as DNS-01 has them."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
