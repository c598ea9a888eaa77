"""The CA's multi-perspective rule as a DNS forwarder over UDP and TCP: quorum.py LISTEN-ADDRESS VANTAGE-ADDRESS...

Each question goes to all vantage points at once. The answer is the one that all of them but one agree on: same rcode,
same set of answer records (TTL and order apart). Otherwise it is SERVFAIL. One line a question goes to stdout:
type, name, rcode, how many agreed, and what the others said.
"""

import asyncio
import sys

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

SECONDS = 8  # a busy machine is no disagreement; two dead vantage points cost each look-up this long
WITHOUT_EDNS = 512  # what an asker takes over UDP: it speaks plain DNS

background = set()  # asyncio itself holds tasks weakly


def essence(reply):
    """What has to be equal. Digestable form is lower case where a name stands, and only there."""
    records = {
        (rrset.name.canonicalize(), rrset.rdtype, rdata.to_digestable())
        for rrset in reply.answer
        for rdata in rrset
    }
    return reply.rcode(), frozenset(records)


async def ask(vantage, question):
    """One vantage point's reply, over TCP if UDP was too small, or why there is none."""
    query = dns.message.make_query(question.name, question.rdtype, question.rdclass, use_edns=0, payload=1232)
    try:
        reply, _ = await asyncio.wait_for(dns.asyncquery.udp_with_fallback(query, vantage), SECONDS)
    except Exception as error:  # silence, refusal, nonsense: all the same to the quorum
        return vantage, None, type(error).__name__
    return vantage, reply, dns.rcode.to_text(reply.rcode())


def answer(query, reply, limit):
    """At most `limit` bytes for the asker; a reply of None is a missing quorum."""
    response = dns.message.make_response(query, recursion_available=True)
    if reply is None:
        response.set_rcode(dns.rcode.SERVFAIL)
        return response.to_wire()
    response.set_rcode(reply.rcode())
    response.answer = reply.answer
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer = []
        response.flags |= dns.flags.TC
        return response.to_wire()


async def decide(query, vantages, limit, send):
    """Sends as soon as the outcome is certain, yet hears everyone out for the log."""
    question = query.question[0]
    needed, groups, sent, said = len(vantages) - 1, {}, None, {}
    waiting = len(vantages)
    for asked in asyncio.as_completed([ask(vantage, question) for vantage in vantages]):
        vantage, reply, outcome = await asked
        waiting -= 1
        said[vantage] = outcome
        if reply is not None:
            groups.setdefault(essence(reply), []).append((vantage, reply))
        most = max(groups.values(), key=len, default=[])
        if sent is None and len(most) >= needed:
            sent = most[0][1].rcode()
            send(answer(query, most[0][1], limit))
        elif sent is None and len(most) + waiting < needed:
            sent = dns.rcode.SERVFAIL
            send(answer(query, None, limit))
    agreed = {vantage for vantage, _ in most}
    others = [f"{vantage}={outcome}" for vantage, outcome in said.items() if vantage not in agreed]
    kind, rcode = dns.rdatatype.to_text(question.rdtype), dns.rcode.to_text(sent)
    print(kind, question.name, rcode, f"{len(agreed)}/{len(vantages)}", *others, flush=True)


def question_of(data):
    """The query in these bytes, or None: of anything else there is nothing to decide."""
    try:
        query = dns.message.from_wire(data)
    except dns.exception.DNSException:
        return None
    return None if query.flags & dns.flags.QR or len(query.question) != 1 else query


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, vantages):
        self.vantages = vantages

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        query = question_of(data)
        if query is None:
            return
        send = lambda wire: self.transport.sendto(wire, peer)
        task = asyncio.ensure_future(decide(query, self.vantages, WITHOUT_EDNS, send))
        background.add(task)
        task.add_done_callback(background.discard)


async def stream(vantages, reader, writer):
    """A connection: one question after the other."""
    try:
        while True:
            length = int.from_bytes(await reader.readexactly(2), "big")
            query = question_of(await reader.readexactly(length))
            if query is None:
                break
            await decide(query, vantages, 65535, lambda wire: writer.write(len(wire).to_bytes(2, "big") + wire))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(listen, *vantages):
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(vantages), local_addr=(listen, 53))
    await asyncio.start_server(lambda reader, writer: stream(vantages, reader, writer), listen, 53)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
