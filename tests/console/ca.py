"""A certificate authority: pebble, on loopback. It proves names by the DNS of the test."""

import json
import os
import socket
import subprocess

from results import until


class Authority:
    """A pebble with a folder of its own."""

    def __init__(self, folder, resolver):
        os.makedirs(folder)
        self.root = os.path.join(folder, "ca.pem")
        key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
        config = os.path.join(folder, "pebble.json")
        make_certificates(folder, self.root, key, certificate)
        address, management = free_address(), free_address()
        settings = {"listenAddress": address, "managementListenAddress": management, "certificate": certificate,
                    "privateKey": key, "httpPort": 5002, "tlsPort": 5001, "certificateValidityPeriod": 7_776_000}
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"pebble": settings}, file)
        with open(os.path.join(folder, "pebble.log"), "wb") as log:
            environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
            command = ["pebble", "-config", config, "-dnsserver", resolver]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.directory = f"https://localhost:{address.rsplit(':', 1)[1]}/dir"
        until("pebble listens", lambda: is_up(address))

    def stop(self):
        self.process.terminate()
        self.process.wait()



def make_certificates(folder, root, key, certificate):
    """A root, and a certificate of it for localhost."""
    root_key, request = os.path.join(folder, "ca-key.pem"), os.path.join(folder, "request.pem")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", root_key, "-out", root, "-subj", "/CN=root of the test", "-days", "2")
    openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    extensions = os.path.join(folder, "extensions")
    with open(extensions, "w", encoding="utf-8") as file:
        file.write("subjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n")
    openssl("x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-out", certificate, "-days", "2",
            "-extfile", extensions)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "{}:{}".format(*probe.getsockname())


def is_up(address):
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
