# SPDX-License-Identifier: ISC
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from instance import Instance  # noqa: E402


@pytest.fixture(scope="module")
def hk():
    """One running instance for a file of tests: alice and bob of example.test."""
    instance = Instance().start()
    try:
        instance.domain("example.test", "--mailbox-size", "10G", "--ids", "100")
        instance.account("alice@example.test")
        instance.account("bob@example.test", "battery staple")
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


@pytest.fixture
def make_instance():
    """Instances that a test starts by itself."""
    made = []

    def make(**kwargs):
        made.append(Instance(**kwargs))
        return made[-1]

    yield make
    for instance in made:
        instance.destroy()
