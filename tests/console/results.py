"""Counted checks: a line for each, and the sum at the end."""

import re
import sys
import time
import traceback
from contextlib import contextmanager

# How long a condition is waited for. Only a failure takes this long.
PATIENCE = 60

passed, failed = 0, 0


@contextmanager
def check(text):
    """One check. It passes unless its block raises; the test goes on in either case."""
    global passed, failed
    try:
        yield
    except Exception as error:  # a fault of the block is a failed check, whatever its type
        failed += 1
        frame = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
        reason = str(error).strip().split("\nStacktrace")[0].replace("\n", "; ") or type(error).__name__
        print(f"FAIL  {text}: {reason} ({frame[0].filename.rsplit('/', 1)[-1]}:{frame[0].lineno})", flush=True)
    else:
        passed += 1
        print(f"ok    {text}", flush=True)


def equal(found, expected):
    """Fails unless both are equal, and says what was found."""
    if found != expected:
        raise AssertionError(f"expected {expected!r}, found {found!r}")


def contains(text, part):
    """Fails unless the text has the part, and shows the end of it, without markup."""
    if part not in text:
        shown = re.sub(r"<[^>]*>|\s+", " ", text)[-400:] if isinstance(text, str) else text
        raise AssertionError(f"expected {part!r} in {shown!r}")


def until(what, condition):
    """Waits until the condition returns something true, and returns that."""
    end = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {PATIENCE} s")
        time.sleep(0.05)


def conclude():
    """Prints the sum, and returns the exit code."""
    print(f"{passed} passed, {failed} failed")
    sys.stdout.flush()
    return 0 if failed == 0 and passed > 0 else 1
