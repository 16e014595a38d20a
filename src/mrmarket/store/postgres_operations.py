"""Operations in the `control` schema of a PostgreSQL database."""

from __future__ import annotations

from typing import Final, Self

from mrmarket.store.migration import CONTROL_SCHEMA, prepare_postgres
from mrmarket.store.postgres_pool import PooledStatements, PostgresPool
from mrmarket.store.selection_log import SelectionLog
from mrmarket.store.sql_operations import SqlOperations

CONTROL: Final = "control"
"""The schema that holds the tables of `control.db`."""

_ANSWER_S: Final = 15.0
"""A call that hung for ever would keep its like from ever being made again."""
_PATIENCE_S: Final = 1.0
"""Short: a caller meets a database that does not answer with its own policy."""


class PostgresOperations(SqlOperations):
    """`OperationsStore` on PostgreSQL, for roles on any number of hosts."""

    @classmethod
    def open(cls, address: str, schema: str = CONTROL) -> Self:
        """Open or create the tables. Raises a StoreError if the server refuses or cannot be reached."""
        prepare_postgres(address, CONTROL_SCHEMA, schema)
        return cls(
            PooledStatements(
                PostgresPool(address, schema, size=3, patience_s=_PATIENCE_S, answer_s=_ANSWER_S)
            )
        )


def open_postgres_selection(address: str, schema: str = CONTROL) -> SelectionLog:
    """What choosing between strategies remembers. Raises a StoreError as `PostgresOperations.open`."""
    prepare_postgres(address, CONTROL_SCHEMA, schema)
    pool = PostgresPool(address, schema, size=1, patience_s=_PATIENCE_S, answer_s=_ANSWER_S)
    return SelectionLog(PooledStatements(pool))
