"""What the back-off promises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.queue.backoff import Backoff

failures = st.integers(1, 1000)
draws = st.floats(0, 1, exclude_max=True)
positive = st.floats(0.01, 1000)


@given(failures, draws, positive, positive)
def test_a_delay_stays_below_its_ceiling(n: int, draw: float, base: float, cap: float) -> None:
    """A delay is never negative and never above the cap, nor above the doubled base."""
    delay = Backoff(base=base, cap=cap, draw=lambda: draw).delay(n)
    assert 0 <= delay <= cap
    assert n > 100 or delay <= base * 2 ** (n - 1)


@given(failures, draws, positive)
def test_a_delay_is_never_shorter_than_asked_for(n: int, draw: float, least: float) -> None:
    """`at_least` is respected, also beyond the cap."""
    assert Backoff(cap=1.0, draw=lambda: draw).delay(n, at_least=least) >= least


@given(failures, draws)
def test_ceilings_grow_until_the_cap(n: int, draw: float) -> None:
    """With the same draw a later failure never waits less."""
    backoff = Backoff(draw=lambda: draw)
    assert backoff.delay(n) <= backoff.delay(n + 1)


def test_the_jitter_is_full() -> None:
    """Draws from 0 to 1 spread the delay over the whole range."""
    assert Backoff(base=8.0, draw=lambda: 0.0).delay(1) == 0.0
    assert Backoff(base=8.0, draw=lambda: 0.25).delay(2) == 4.0
