"""What a process that lives long does for itself."""

import gc

from media_pipeline.heap import spare_heap


def test_what_is_there_for_life_is_out_of_collections() -> None:
    """A collection after the start looks at what came since, and at nothing else."""
    try:
        spare_heap()
        assert gc.get_freeze_count() > len(gc.get_objects())
    finally:
        gc.unfreeze()
