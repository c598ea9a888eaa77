"""DNS from both sides: the recursive resolver that the daemon asks, and the resolvers that ask the daemon."""

import socket
import threading

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class Resolver:
    """A recursive resolver that knows the CNAME records of the test, and no other names. What lies in the daemon's zone
    is asked of the daemon."""

    def __init__(self, zone):
        self.zone = dns.name.from_text(zone)
        self.cnames = {}
        self.daemon = None
        self.is_silent = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self.socket.getsockname())
        threading.Thread(target=self.serve, daemon=True).start()

    def set(self, name, target):
        """Sets the CNAME at a name; without a target there is none."""
        if target is None:
            self.cnames.pop(name, None)
        else:
            self.cnames[name] = target

    def serve(self):
        while True:
            data, peer = self.socket.recvfrom(4096)
            if self.is_silent:
                continue
            try:
                self.socket.sendto(self.reply(dns.message.from_wire(data)).to_wire(), peer)
            except Exception:  # a query that cannot be answered is lost, as on the network
                continue

    def reply(self, query):
        question = query.question[0]
        reply = dns.message.make_response(query, recursion_available=True)
        name = question.name
        for _ in range(8):
            target = self.cnames.get(name.to_text(omit_final_dot=True).lower())
            if target is None:
                break
            reply.answer.append(dns.rrset.from_text(name, 0, "IN", "CNAME", target.rstrip(".") + "."))
            if question.rdtype == dns.rdatatype.CNAME:
                return reply
            name = dns.name.from_text(target)
        if name.is_subdomain(self.zone) and self.daemon:
            asked = dns.message.make_query(name, question.rdtype)
            found = dns.query.udp(asked, self.daemon[0], port=self.daemon[1], timeout=5)
            reply.answer += found.answer
            reply.authority += found.authority
            reply.set_rcode(found.rcode())
        elif not reply.answer:
            exists = any(known == name.to_text(omit_final_dot=True) or known.endswith("." + name.to_text(omit_final_dot=True))
                         for known in self.cnames)
            reply.set_rcode(dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN)
            # Nobody may remember it (RFC 2308 section 5): records come and go.
            reply.authority.append(dns.rrset.from_text(".", 0, "IN", "SOA", "ns.invalid. host.invalid. 1 1 1 1 0"))
        return reply


def ask(daemon, name, source):
    """The TXT values that a resolver at an address gets."""
    query = dns.message.make_query(name, dns.rdatatype.TXT)
    reply = dns.query.udp(query, daemon.dns[0], port=daemon.dns[1], source=source, timeout=10)
    return sorted(string.decode() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.TXT
                  for record in rrset for string in record.strings)


def ask_from_everywhere(daemon, name, networks=6):
    """Asks from one address of each of several networks, and returns what each got."""
    return [ask(daemon, name, f"127.0.{network}.1") for network in range(11, 11 + networks)]
