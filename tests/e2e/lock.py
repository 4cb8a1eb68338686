# SPDX-License-Identifier: ISC
"""What two test runs on one machine must not do at once: filling a cache, making a user."""
import contextlib
import fcntl
import os
import pathlib
import tempfile


@contextlib.contextmanager
def lock(name):
    """Held by one process at a time; given back at its end."""
    path = pathlib.Path("/run" if os.getuid() == 0 else tempfile.gettempdir()) / f"hikyaku-test-{name}"
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
