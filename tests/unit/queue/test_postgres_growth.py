"""A claim does not get slower with history."""

from __future__ import annotations

import pytest
from bench.queue_growth import FEW, claim_ms, measure

from tests.servers.postgres import OwnServer, shared_server

pytestmark = pytest.mark.skipif(
    not isinstance(shared_server(), OwnServer), reason="fills tables in PostgreSQL's own ways"
)


async def test_claims_take_every_job_beside_a_history() -> None:
    """With more finished jobs than waiting ones, claims still find all that wait."""
    assert await claim_ms(shared_server().create_database("growth"), finished=FEW) > 0


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_a_claim_is_as_fast_beside_a_million_finished_jobs() -> None:
    """From 1,000 to 1,000,000 finished jobs the median claim gets at most half as slow again."""
    figures = await measure(shared_server(), most=1_000_000)
    assert figures["claim at 1,000,000 / at 1,000"] <= 1.5
