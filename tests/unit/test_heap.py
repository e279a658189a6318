"""What a process that lives long does for itself."""

import gc
from collections.abc import Iterator

import pytest

from media_pipeline.heap import YOUNG, spare_heap


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_there_for_life_is_out_of_collections() -> None:
    """A collection after the start looks at what came since, and at nothing else."""
    spare_heap()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_what_is_under_way_is_not_taken_for_old() -> None:
    """Thousands of containers that many requests hold at once begin no collection."""
    spare_heap()
    before = gc.get_stats()[0]["collections"]
    held = [[number] for number in range(YOUNG // 2)]
    assert gc.get_stats()[0]["collections"] == before
    assert held
