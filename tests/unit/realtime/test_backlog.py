"""What waits for a reader."""

from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.ids import JobId
from media_pipeline.realtime.backlog import Backlog

from .doubles import progress, state


def take(backlog: Backlog) -> list[str]:
    lines = backlog.take().decode().splitlines()
    return [line.removeprefix("data: ").strip('"') for line in lines if line.startswith("data")]


def test_progress_is_conflated_to_the_newest() -> None:
    """Of progress in one slot only the newest waits, at its own place in the order."""
    backlog = Backlog()
    for message in (progress(1), state("a", job=JobId("other")), progress(2), progress(3)):
        backlog.put(message)
    assert take(backlog) == ["a", "3"]


def test_slots_and_jobs_do_not_conflate_each_other() -> None:
    """Progress of another job or slot stays."""
    backlog = Backlog()
    for message in (progress(1), progress(2, slot="preview/0"), progress(3, job=JobId("other"))):
        backlog.put(message)
    assert take(backlog) == ["1", "2", "3"]


def test_a_state_takes_the_place_of_its_jobs_progress() -> None:
    """A change of state drops waiting progress and previews of its job, and of no other."""
    backlog = Backlog()
    for message in (
        progress(1),
        progress(2, slot="preview/0"),
        progress(3, job=JobId("other")),
        state("end"),
    ):
        backlog.put(message)
    assert take(backlog) == ["3", "end"]


def test_taking_empties() -> None:
    """After `take` nothing waits and nothing old conflates."""
    backlog = Backlog()
    backlog.put(progress(1))
    backlog.take()
    assert (len(backlog), backlog.size) == (0, 0)
    backlog.put(progress(2))
    backlog.put(state("a"))
    assert take(backlog) == ["a"]


def test_one_frame_is_handed_on_uncopied() -> None:
    """A lone frame is the object that all readers share."""
    backlog = Backlog()
    message = state("a")
    backlog.put(message)
    assert backlog.take() is message.frame


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 2))))
def test_states_are_never_dropped_and_sizes_are_true(steps: list[tuple[bool, str, int]]) -> None:
    """In any mix every state waits, in order, the newest progress after it, and `size` is the bytes."""
    backlog, states = Backlog(), []
    for number, (is_state, job, slot) in enumerate(steps):
        if is_state:
            states.append(f"{job}{number}")
            backlog.put(state(states[-1], job=JobId(job)))
        else:
            backlog.put(progress(number, job=JobId(job), slot=str(slot)))
    size = backlog.size
    joined = backlog.take()
    assert len(joined) == size
    assert [line[7:-1].decode() for line in joined.splitlines() if line.startswith(b'data: "')] == states
