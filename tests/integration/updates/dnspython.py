# Sends signed messages and verifies the replies. Arguments: address, port, zone; input: name, algorithm, secret, owner.
import sys
import time

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update

address, port, zone = sys.argv[1], int(sys.argv[2]), sys.argv[3]
values = ["a" * 43, "b" * 43]
real_time = time.time


def send(message, how=dns.query.tcp):
    return how(message, address, port=port, timeout=20)


def tell(what, message, how=dns.query.tcp):
    try:
        reply = send(message, how)
        assert reply.had_tsig, "a reply without a signature"
        print(what, dns.rcode.to_text(reply.rcode()))
    except dns.exception.DNSException as error:
        print(what, type(error).__name__)


def algorithm_of(text):
    return dns.tsig.HMAC_MD5 if text == "hmac-md5" else dns.name.from_text(text)


for line in sys.stdin:
    name, algorithm, secret, owner = line.split()
    owner = dns.name.from_text(owner)
    algorithm = algorithm_of(algorithm)
    keys = dns.tsigkeyring.from_text({name: secret})
    other_secret = dns.tsigkeyring.from_text({name: "b3RoZXI="})
    other_name = dns.tsigkeyring.from_text({"nobody.": secret})

    def update(keys=keys):
        return dns.update.Update(zone, keyring=keys, keyalgorithm=algorithm)

    def query():
        message = dns.message.make_query(owner, "TXT")
        message.use_tsig(keys, algorithm=algorithm)
        print("query", sum(len(records) for records in send(message).answer), "values")

    first = update()
    first.add(owner, 60, "TXT", values[0])
    tell("udp", first, dns.query.udp)
    second = update()
    second.add(owner, 60, "TXT", values[1])
    tell("tcp", second)
    tell("again", second)
    query()
    clear = update()
    clear.present(owner, "TXT")
    clear.delete(owner)
    tell("clear", clear)
    query()
    refused = update()
    refused.add("ns1", 60, "TXT", values[0])
    tell("refused", refused)
    for what, wrong in [("badkey", other_name), ("badsig", other_secret)]:
        message = update(wrong)
        message.add(owner, 60, "TXT", values[0])
        tell(what, message)
    late = update()
    late.add(owner, 60, "TXT", values[0])
    time.time = lambda: real_time() - 4000
    tell("badtime", late)
    time.time = real_time
