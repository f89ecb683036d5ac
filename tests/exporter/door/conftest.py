"""A place, and authorities that sign for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme

from tests.exporter.door.place import Place


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def other_ca() -> trustme.CA:
    return trustme.CA()
