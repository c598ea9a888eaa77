"""The test of tests/console/run: main.py [--screenshots DIR [--every-look]] WORK BINARY."""

import os
import signal
import sys
from contextlib import contextmanager

import browser
import keyboard
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
from ca import Authority
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
    part(keyboard.run, daemon, work)
    part(probes.run, daemon, work, operator)
    part(security.run, daemon, work, operator)
    part(pages.run, daemon, work, operator, account)
    part(pages.one_screen, binary, work, resolver)
    part(pages.of_certificates, binary, work)
    part(trouble.run, daemon, operator)
    part(proxy.run, binary, work, resolver)


def photograph(binary, work, folder, every_look):
    """Writes the pictures. The certificates in them need a CA."""
    resolver = Resolver("auth.example.org")
    authority = Authority(os.path.join(work, "ca"), resolver.address)
    try:
        clock = pictures.Clock(os.path.join(work, "clock"))
        more = {"console": pictures.configuration(authority), "api": pictures.API, "environment": clock.environment}
        with running(binary, work, resolver, **more) as (daemon, operator):
            scene = pictures.Scene(daemon, resolver, clock, operator)
            part(pictures.run, scene, pictures.Pictures(operator, folder, every_look))
    finally:
        authority.stop()


@contextmanager
def running(binary, work, resolver, **more):
    """A daemon that the resolver knows, and a browser."""
    daemon = Daemon(binary, os.path.join(work, "daemon"), resolver.address, **more)
    try:
        resolver.daemon = daemon.dns
        yield daemon, Browser(daemon.console, work)
    finally:
        browser.quit_all()
        daemon.stop()


def main(arguments):
    # Ends what was started, when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    *options, work, binary = arguments
    if options:
        photograph(binary, work, options[1], every_look="--every-look" in options)
        return results.conclude()
    resolver = Resolver("auth.example.org")
    with running(binary, work, resolver) as (daemon, operator):
        daemon.pin()
        everything(binary, work, daemon, resolver, operator)
    return results.conclude()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
