"""Servers as the benchmarks start, ask and measure them. Nothing leaves the loopback."""
import os, pathlib, random, re, shutil, socket, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "dist"
ZONE = "auth.example.org"
TICK = os.sysconf("SC_CLK_TCK")
# Where servers run, and where their clients do.
CORES = {"server": "0", "client": "1"}


def build(*examples):
    """Builds the daemon and these examples, with the profile of the packages whatever the shell says."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "RUSTFLAGS" and not name.startswith("CARGO_PROFILE_")}
    wanted = [word for example in examples for word in ("--example", example)]
    subprocess.run(["cargo", "build", "--profile", "dist", "--quiet", "--bin", "txtgate", *wanted], cwd=ROOT, env=environment,
                   check=True)


def need(**tools):
    """Ends the run where a tool is missing; each is named with its Debian package."""
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if missing:
        sys.exit(f"missing: apt-get install {' '.join(missing)}")


def free_port():
    """One that no client of anybody else is given by chance meanwhile: those begin at 32768."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answers(port, query):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(("127.0.0.1", port))
            probe.send(query)
            return len(probe.recv(4096)) > 0
        except OSError:
            return False


def run_client(*command):
    run = subprocess.run(["taskset", "-c", CORES["client"], *map(str, command)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{command[0]} failed: {run.stdout}{run.stderr}")
    return run.stdout


class Server:
    """A process, with its children, that answers DNS on a port of the loopback."""

    def __init__(self, name, command, folder, port, queries):
        self.name, self.port, self.queries = name, port, queries
        self.log = open(folder / f"{re.sub(r'[^a-z0-9]+', '-', name)}.log", "w+")
        self.started = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", CORES["server"], *map(str, command)], cwd=folder,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        self.forget()

    def forget(self):
        """What has been measured so far was only to get warm."""
        self.micros, self.rates, self.lost = [], [], 0

    def pids(self):
        pids, found = [self.process.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                pids += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self):
        """Seconds of CPU so far, by the clock of each process: /proc counts in ticks, which is too coarse for a small load."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def rss(self):
        """Resident memory now, in MiB."""
        lines = "".join(pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return sum(map(int, re.findall(r"VmRSS:\s*(\d+)", lines))) / 1024

    def wait(self, sign=None, limit=120):
        """Until it answers, or says `sign`; returns the seconds since its start."""
        query = bytes.fromhex("abcd01000001000000000000") + wire(ZONE) + bytes.fromhex("00060001")
        while time.monotonic() < self.started + limit:
            said = pathlib.Path(self.log.name).read_text()
            if self.process.poll() is not None:
                sys.exit(f"{self.name} has ended:\n{said}")
            if sign is None and answers(self.port, query) or sign and sign in said:
                return time.monotonic() - self.started
            time.sleep(0.02)
        sys.exit(f"{self.name} does not answer:\n{said}")

    def ask(self, seconds, *options):
        """Has dnsperf ask all the queries for so long."""
        self.measure("dnsperf", "-s", "127.0.0.1", "-p", self.port, "-d", self.queries, "-l", seconds,
                     "-c", "8", "-T", "1", "-e", *options)

    def ask_from(self, networks, seconds, rate=0):
        """Has so many networks ask all the queries for so long."""
        self.measure(TARGET / "examples/networks", f"127.0.0.1:{self.port}", self.queries, networks, seconds, rate)

    def measure(self, *client):
        before = self.cpu()
        said = run_client(*client)
        number = lambda label: float(re.search(rf"{label}:\s*([\d.]+)", said).group(1))
        codes = re.search(r"Response codes:\s*(.*)", said).group(1)
        if not re.fullmatch(r"NOERROR \d+ \(100\.00%\)", codes):
            sys.exit(f"{self.name}: {codes}")
        self.micros.append((self.cpu() - before) / number("Queries completed") * 1e6)
        self.rates.append(number("Queries per second"))
        self.lost += int(number("Queries lost"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Daemon(Server):
    """txtgate over some accounts with a live value each, in a folder of its own."""

    def __init__(self, name, home, signed=False, api=""):
        port, self.api, self.metrics = free_port(), free_port(), free_port()
        self.names = home / "names"
        config = home / "config.toml"
        config.write_text(configuration(f"127.0.0.1:{port}", f"127.0.0.1:{self.api}", f"127.0.0.1:{self.metrics}",
                                        signed, api))
        if signed and not (home / "zone.key").exists():
            subprocess.run([TARGET / "txtgate", "--config", config, "dnssec", "init", ZONE], check=True,
                           stdout=subprocess.DEVNULL)
        super().__init__(name, [TARGET / "txtgate", "--config", config, "serve"], home, port, home / "queries")


def configuration(dns, api, metrics, signed=False, more=""):
    """One UDP thread, as many as the core that it has."""
    key = 'dnssec-key = "zone.key"' if signed else ""
    return f"""
[dns]
listen = ["{dns}"]
threads = 1
[api]
listen = ["{api}"]
{more}
[metrics]
listen = ["{metrics}"]
[[zone]]
name = "{ZONE}"
ns = ["ns1.{ZONE}"]
contact = "hostmaster@example.org"
records = "ns1 A 127.0.0.1"
{key}
"""


def fill(home, count, *domain):
    """A database of so many accounts, with the names that they own and the queries for them. With a domain, each has a note."""
    home.mkdir()
    names = home / "names"
    with open(names, "w") as out:
        subprocess.run([TARGET / "examples/fill", home / "txtgate.db", ZONE, str(count), *domain], stdout=out, check=True)
    with open(home / "queries", "w") as out:
        out.writelines(f"{line.split()[0]} TXT\n" for line in open(names))
    return home


def interleaved(servers, rounds, seconds, *options, ask=None):
    """Asks all in turn, round for round, so that whatever else the machine does hits all alike. `ask`: how, where not with
    dnsperf and `options`."""
    ask = ask or (lambda server, seconds: server.ask(seconds, *options))
    for server in servers:
        ask(server, 1)
        server.forget()
    for turn in range(rounds):
        # Another one is first each time.
        for server in servers[turn % len(servers):] + servers[:turn % len(servers)]:
            ask(server, seconds)


def percentile(numbers, share):
    numbers = sorted(numbers)
    return numbers[min(len(numbers) - 1, int(len(numbers) * share / 100))]


def latencies(said):
    """The milliseconds of each answer in what `dnsperf -v` says."""
    return [float(line.rsplit(" ", 1)[1]) * 1e3 for line in said.splitlines() if line.startswith("> NOERROR ")]
