"""client.py HOST ADDRESS ROOT STOP: asks HTTPS as fast as it can, with full verification, until the file STOP is there.

Each round is one request on a connection that is kept open throughout and one on a new connection. The last line says how
many there were, how many failed, and how many certificates were seen.
"""
import http.client, os, socket, ssl, sys, time

host, address, root, stop = sys.argv[1:]
context = ssl.create_default_context(cafile=root)


class Connection(http.client.HTTPSConnection):
    """To the address, for the host."""

    def connect(self):
        self.sock = context.wrap_socket(socket.create_connection((address, 443), 5), server_hostname=host)


def ask(connection):
    connection.request("GET", "/health")
    response = connection.getresponse()
    response.read()
    assert response.status == 200, response.status


requests = failed = 0
serials = set()
kept = Connection(host)
kept.connect()
opened = id(kept.sock)
while not os.path.exists(stop):
    for connection in (kept, Connection(host)):
        requests += 1
        try:
            ask(connection)
            serials.add(connection.sock.getpeercert()["serialNumber"])
        except Exception as error:  # whatever it is, the client has not got what it wanted
            failed += 1
            print(type(error).__name__, error, flush=True)
        if connection is not kept:
            connection.close()
    time.sleep(0.02)
reopened = id(kept.sock) != opened
print(f"{requests} requests, {failed} failed, {len(serials)} certificates seen, "
      f"the connection was {'lost' if reopened else 'kept'}")
sys.exit(1 if failed or reopened or len(serials) < 3 else 0)
