"""The test of tests/console/run: main.py [--screenshots DIR] WORK BINARY."""

import os
import signal
import sys

import browser
import lifecycle
import pages
import pictures
import probes
import proxy
import results
import security
import sign_in
import trouble
from browser import Browser
from daemon import Daemon
from names import Resolver


def part(run, *arguments):
    """A part of the test. Where it cannot go on, that is one failure, and the next part follows."""
    with results.check(f"{run.__module__}.{run.__name__} runs to its end"):
        return run(*arguments)


def everything(binary, work, daemon, resolver, operator):
    part(sign_in.run, daemon, work, operator)
    account = part(lifecycle.run, daemon, resolver, work, operator)
    part(lifecycle.without_scripts, daemon, work)
    part(lifecycle.by_keyboard, daemon, work)
    part(probes.run, daemon, work, operator)
    part(security.run, daemon, work, operator)
    part(pages.run, daemon, work, operator, account)
    part(pages.one_screen, binary, work, resolver)
    part(trouble.run, daemon, operator)
    part(proxy.run, binary, work, resolver)


def main(arguments):
    folder = None
    if arguments[0] == "--screenshots":
        folder, arguments = arguments[1], arguments[2:]
    work, binary = arguments
    resolver = Resolver("auth.example.org")
    more = {"console": pictures.CONSOLE, "api": pictures.API} if folder else {}
    daemon = Daemon(binary, os.path.join(work, "daemon"), resolver.address, **more)
    resolver.daemon = daemon.dns
    daemon.pin()
    # Ends what was started, when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        operator = Browser(daemon.console, work)
        if folder:
            part(pictures.run, daemon, resolver, operator, folder)
        else:
            everything(binary, work, daemon, resolver, operator)
    finally:
        browser.quit_all()
        daemon.stop()
    return results.conclude()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
