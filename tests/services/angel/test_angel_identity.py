"""What the Angel calls the instance that it watches."""

from __future__ import annotations

import os
from pathlib import Path

from mrmarket.services.angel.composition import assemble, instance_prefix
from mrmarket.services.angel.plan import AngelPlan
from mrmarket.services.engine.identity import shared_identity
from mrmarket.services.store_address import StoreAddress
from mrmarket.store.postgres_operations import PostgresOperations
from postgres_server import postgres, postgres_server, url_of

__all__ = ["postgres", "postgres_server"]
FOUNDER = "0192f0c1-1111-7111-8111-111111111111"
STRANGER = "0192f0c1-2222-7222-8222-222222222222"


async def test_on_postgresql_it_is_what_the_first_process_called_it(postgres: str, tmp_path: Path) -> None:
    """Whatever its own folder says: the ids of the orders carry the founder's name."""
    url = url_of(postgres)
    operations = PostgresOperations.open(url)
    try:
        assert shared_identity(operations, FOUNDER, 1) == FOUNDER
    finally:
        operations.close()
    assembled = await assemble(AngelPlan(instance=STRANGER), tmp_path, url, os.environ)
    async with assembled.closing:
        assert assembled.angel.charge.instance_prefix == instance_prefix(FOUNDER)


async def test_in_a_folder_it_is_the_folders_own(tmp_path: Path) -> None:
    """One folder, one instance: nothing is asked."""
    StoreAddress(tmp_path).open_operations().close()
    assembled = await assemble(AngelPlan(instance=STRANGER), tmp_path, "", os.environ)
    async with assembled.closing:
        assert assembled.angel.charge.instance_prefix == instance_prefix(STRANGER)
