"""The simulator's stores are stores: they pass what SQLite and PostgreSQL pass."""

from store.test_lease_conformance import *  # noqa: F403 - every test of that suite, on the stores of this folder
from store.test_operations_conformance import *  # noqa: F403 - the same
from store.test_trading_conformance import *  # noqa: F403 - the same
