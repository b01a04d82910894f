"""The tracking database: what is recorded is there, and ids are found by their beginnings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runner.databases import JOBS, child, ended, intend, set_clock

from evalc.backends.running import Job, Run, Sight, State
from evalc.runner.database import (
    AmbiguousId,
    Attempt,
    Database,
    Submission,
    TakenOver,
    UnknownId,
    tracking,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Python 3.12 warns of forks in a process with threads; a child here does a few steps and dies.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "runs.sqlite") as opened:
        yield opened


def sights(database: Database, invocation: str) -> dict[str, Sight]:
    return {job.id: job.sight for job in database.find(invocation).invocation.jobs}


def states(database: Database, invocation: str) -> list[str]:
    return [sight.state.value for sight in sights(database, invocation).values()]


def history(database: Database, invocation: str) -> list[tuple[str | None, str, str]]:
    return [(event.job, event.what, event.text) for event in database.events(invocation)]


def by_another(database: Database, step: str, *arguments: object) -> None:
    """What a process does that is gone then."""

    def work() -> None:
        with Database.open(database.path) as its:
            getattr(its, step)(*arguments)

    assert ended(child(work)) == 0


def cut_short(database: Database) -> str:
    """An invocation whose submitter is gone."""

    def work() -> None:
        with Database.open(database.path) as its:
            intend(its)

    assert ended(child(work)) == 0
    return database.listing()[0].id


# Submitting.


def test_an_intent_holds_all_that_was_given(database: Database) -> None:
    made = intend(database, edited=True)
    found = database.find(made.id)
    assert found.job is None
    assert found.invocation == made
    assert re.fullmatch(r"[a-z][a-z0-9]{7}", made.id)
    assert made.edited
    assert made.submission is Submission.INTENDED
    assert [(job.number, job.sight, job.seen) for job in made.jobs] == [
        (1, Sight(State.SUBMITTING), None),
        (2, Sight(State.SUBMITTING), None),
    ]
    assert made.run == Run(
        made.id,
        f"/scratch/{made.id}",
        {"account": "a", "mounts": {"x": ["/data"]}},
        JOBS,
        made.created,
    )


def test_a_run_on_this_machine_has_no_host(database: Database) -> None:
    made = intend(database, hostname=None, username=None, ssh_key=None)
    assert (made.hostname, made.username, made.ssh_key) == (None, None, None)


def test_odd_bytes_of_paths_and_names_are_kept(database: Database) -> None:
    odd = "/a b/\udcff'\"\n☃/\x00"
    made = intend(database, bundle=odd, ssh_key=odd, name=odd, folder=lambda _: odd)
    found = database.find(made.id).invocation
    assert (found.bundle, found.ssh_key, found.name, found.folder) == (odd, odd, odd, odd)


def test_ids_are_never_given_twice(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first = intend(database).id
    ids = iter([first, first, "another2"])
    monkeypatch.setattr(tracking, "new_id", lambda: next(ids))
    assert intend(database).id == "another2"


def test_a_submission_goes_its_way(database: Database) -> None:
    made = intend(database)
    database.advance(made.id, Submission.UPLOADED)
    database.advance(made.id, Submission.UPLOADED)
    database.advance(made.id, Submission.SUBMITTED)
    assert database.find(made.id).invocation.submission is Submission.SUBMITTED
    assert [what for _, what, _ in history(database, made.id)] == [
        "intended",
        "uploaded",
        "submitted",
    ]
    with pytest.raises(TakenOver):
        database.abandon(made.id, "too late")
    assert states(database, made.id) == ["submitting", "submitting"]


def test_an_abandoned_submission_says_why_and_has_nothing_that_waits(database: Database) -> None:
    made = intend(database)
    database.record(made.id, {"gpqa": Sight(State.FAILED, "no such account")})
    database.abandon(made.id, "the disk was full")
    assert sights(database, made.id) == {
        "mmlu": Sight(State.CANCELLED, "the disk was full"),
        "gpqa": Sight(State.FAILED, "no such account"),
    }
    assert (None, "abandoned", "the disk was full") in history(database, made.id)
    assert database.unfinished() == []
    assert database.unsettled() == []


def test_what_a_living_process_submits_is_left_to_it(database: Database) -> None:
    made = intend(database)
    assert database.unsettled() == []

    def another() -> None:
        with Database.open(database.path) as its:
            assert its.unsettled() == []
            assert not its.claim(made.id)
            with pytest.raises(TakenOver):
                its.advance(made.id, Submission.UPLOADED)

    assert ended(child(another)) == 0
    assert database.claim(made.id)


def test_what_was_cut_short_is_found_and_claimed(database: Database) -> None:
    invocation = cut_short(database)
    assert [left.id for left in database.unsettled()] == [invocation]
    assert database.claim(invocation)
    assert database.unsettled() == []
    database.advance(invocation, Submission.UPLOADED)
    assert database.find(invocation).invocation.submission is Submission.UPLOADED


def test_whoever_was_held_for_dead_learns_it(database: Database) -> None:
    made = intend(database)
    # As after an hour on a machine that can't be asked.
    database._connection.execute("UPDATE invocations SET owner_boot = 'x', owner_machine = 'y'")
    database._connection.execute("UPDATE invocations SET owned = owned - 3601")
    by_another(database, "claim", made.id)
    with pytest.raises(TakenOver) as caught:
        database.advance(made.id, Submission.SUBMITTED)
    assert caught.value.invocation == made.id


@pytest.mark.parametrize("step", [Submission.SUBMITTED, Submission.ABANDONED])
def test_what_has_come_to_its_end_is_not_claimed(database: Database, step: Submission) -> None:
    made = intend(database)
    database.advance(made.id, step)
    assert not database.claim(made.id)


def test_resuming_is_a_submission_that_can_be_cut_short_too(database: Database) -> None:
    made = intend(database)
    assert not database.reopen(made.id)
    database.advance(made.id, Submission.SUBMITTED)
    by_another(database, "reopen", made.id)
    assert not database.reopen(made.id)
    assert [left.id for left in database.unsettled()] == [made.id]
    assert database.claim(made.id)
    database.advance(made.id, Submission.SUBMITTED)
    assert database.reopen(made.id)


@pytest.mark.parametrize("step", ["claim", "reopen"])
def test_unknown_invocations_are_said_to_be_so(database: Database, step: str) -> None:
    with pytest.raises(UnknownId):
        getattr(database, step)("nosuchid")
    with pytest.raises(UnknownId):
        database.advance("nosuchid", Submission.UPLOADED)


# What was seen.

TEXTS = st.text(st.characters(), max_size=20)
TIMES = st.none() | st.floats(allow_nan=False)
COUNTS = st.integers(0, 2**63 - 1)
SIGHTS = st.builds(
    Sight,
    state=st.sampled_from(State),
    reason=TEXTS,
    native=st.lists(TEXTS, max_size=4).map(tuple),
    attempt=COUNTS,
    attempts=COUNTS,
    began=TIMES,
    ended=TIMES,
    node=TEXTS,
    done=st.none() | COUNTS,
    total=st.none() | COUNTS,
)


@given(seen=SIGHTS, other=SIGHTS)
def test_what_is_recorded_is_read_again(database: Database, seen: Sight, other: Sight) -> None:
    made = intend(database)
    database.record(made.id, {"mmlu": seen, "gpqa": other})
    assert sights(database, made.id) == {"mmlu": seen, "gpqa": other}


@given(seen=st.lists(SIGHTS, max_size=6))
def test_the_last_sight_counts_and_each_attempt_is_kept(
    database: Database, seen: list[Sight]
) -> None:
    made = intend(database)
    expected = Sight(State.SUBMITTING)
    changes = 0
    natives: dict[str, None] = {}
    for sight in seen:
        database.record(made.id, {"mmlu": sight})
        if sight.state is State.UNKNOWN and expected.state.is_end:
            continue
        changes += sight.state is not expected.state
        expected = sight
        natives.update(dict.fromkeys(sight.native))
    assert sights(database, made.id)["mmlu"] == expected
    assert [attempt.native for attempt in database.attempts(made.id)] == list(natives)
    assert [what for _, what, _ in history(database, made.id)].count("state") == changes


def test_attempts_and_changes_of_state_are_kept(database: Database) -> None:
    made = intend(database)
    first = Sight(State.RUNNING, native=("11", "12"), attempt=1)
    database.record(made.id, {"mmlu": first}, looked=10.0)
    database.record(made.id, {"mmlu": replace(first, done=5, total=9)}, looked=11.0)
    second = Sight(State.TIMED_OUT, "walltime", ("11", "12"), attempt=2)
    database.record(made.id, {"mmlu": second}, looked=12.0)
    assert database.attempts(made.id) == [
        Attempt("mmlu", "11", 10.0, State.RUNNING),
        Attempt("mmlu", "12", 10.0, State.TIMED_OUT),
    ]
    assert history(database, made.id)[1:] == [
        ("mmlu", "state", "submitting -> running"),
        ("mmlu", "state", "running -> timed out: walltime"),
    ]
    assert [event.at for event in database.events(made.id)][1:] == [10.0, 12.0]
    assert [job.seen for job in database.find(made.id).invocation.jobs] == [12.0, None]


def test_a_job_that_keeps_its_id_has_one_attempt_in_its_last_state(database: Database) -> None:
    made = intend(database)
    for attempt, state in ((1, State.RUNNING), (2, State.PENDING), (3, State.COMPLETED)):
        database.record(made.id, {"gpqa": Sight(state, native=("7",), attempt=attempt)})
    assert [(a.native, a.state) for a in database.attempts(made.id)] == [("7", State.COMPLETED)]


def test_many_invocations_are_recorded_at_once_or_not_at_all(database: Database) -> None:
    made = [intend(database).id for _ in range(3)]
    database.record_many({one: {"mmlu": Sight(State.RUNNING)} for one in made[:2]})
    assert [states(database, one)[0] for one in made] == ["running", "running", "submitting"]
    # More than SQLite's integers hold.
    wrong = Sight(State.COMPLETED, done=2**63)
    with pytest.raises(OverflowError):
        database.record_many({made[0]: {"mmlu": Sight(State.FAILED)}, made[1]: {"mmlu": wrong}})
    assert [states(database, one)[0] for one in made] == ["running", "running", "submitting"]


def test_what_is_no_job_is_passed_over(database: Database) -> None:
    made = intend(database)
    database.record_many(
        {
            made.id: {"no job": Sight(State.RUNNING), "gpqa": Sight(State.RUNNING)},
            "nosuchid": {"mmlu": Sight(State.RUNNING)},
        }
    )
    assert states(database, made.id) == ["submitting", "running"]


def test_not_knowing_is_no_news_of_what_has_ended(database: Database) -> None:
    made = intend(database)
    done = Sight(State.COMPLETED, native=("5",))
    running = Sight(State.RUNNING)
    database.record(made.id, {"mmlu": done, "gpqa": running}, looked=1.0)
    lost = Sight(State.UNKNOWN, "the scheduler did not answer")
    database.record(made.id, {"mmlu": lost, "gpqa": lost}, looked=2.0)
    assert sights(database, made.id) == {"mmlu": done, "gpqa": lost}
    assert [job.seen for job in database.find(made.id).invocation.jobs] == [1.0, 1.0]


def test_a_look_that_was_overtaken_changes_nothing(database: Database) -> None:
    made = intend(database)
    database.record(made.id, {"mmlu": Sight(State.COMPLETED)}, looked=20.0)
    database.record(made.id, {"mmlu": Sight(State.RUNNING)}, looked=19.0)
    assert states(database, made.id)[0] == "completed"


def test_a_clock_that_was_set_back_stops_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, 5000.0)
    first = intend(database)
    database.record(first.id, {"mmlu": Sight(State.PENDING)})
    set_clock(monkeypatch, 1000.0)
    second = intend(database)
    database.record(first.id, {"mmlu": Sight(State.RUNNING)})
    assert states(database, first.id)[0] == "running"
    assert [one.id for one in database.listing()] == [second.id, first.id]
    assert database.unsettled() == []
    database.advance(first.id, Submission.UPLOADED)


def test_notes_join_the_history(database: Database) -> None:
    made = intend(database)
    database.note(made.id, "killed", "2 jobs, 1 container", job="mmlu")
    database.note(made.id, "fetched")
    assert history(database, made.id)[1:] == [
        ("mmlu", "killed", "2 jobs, 1 container"),
        (None, "fetched", ""),
    ]


# Asking.


def test_unfinished_is_what_may_still_change(database: Database) -> None:
    done, running, unknown, half = (intend(database).id for _ in range(4))
    intend(database)
    for one in (done, running, unknown):
        database.advance(one, Submission.SUBMITTED)
    database.advance(half, Submission.UPLOADED)
    end = {"mmlu": Sight(State.COMPLETED), "gpqa": Sight(State.NODE_FAILED)}
    database.record(done, end)
    database.record(running, {**end, "gpqa": Sight(State.RUNNING)})
    database.record(unknown, {**end, "gpqa": Sight(State.UNKNOWN)})
    assert [one.id for one in database.unfinished()] == [half, unknown, running]


def test_listing_takes_a_time_and_a_backend(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for now, backend in ((100.0, "slurm"), (200.0, "local"), (300.0, "slurm")):
        set_clock(monkeypatch, now)
        made.append(intend(database, backend=backend).id)
    assert [one.id for one in database.listing()] == made[::-1]
    assert [one.id for one in database.listing(since=200.0)] == [made[2], made[1]]
    assert [one.id for one in database.listing(backend="slurm")] == [made[2], made[0]]
    assert [one.id for one in database.listing(since=101.0, backend="local")] == [made[1]]
    assert database.listing(backend="' OR 1=1 --") == []


@pytest.fixture
def known(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Has the invocations bbbbbbbb, bbcccccc, and zz345678, which has eleven jobs."""
    ids = iter(["bbbbbbbb", "bbcccccc", "zz345678"])
    monkeypatch.setattr(tracking, "new_id", lambda: next(ids))
    for jobs in (JOBS, JOBS, [Job(f"job{n}", ()) for n in range(1, 12)]):
        intend(database, jobs=jobs)
    return database


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("bbbbbbbb", ("bbbbbbbb", None)),
        ("bbb", ("bbbbbbbb", None)),
        ("z", ("zz345678", None)),
        (" ZZ345678\n", ("zz345678", None)),
        ("zz345678.1", ("zz345678", "job1")),
        ("zz.11", ("zz345678", "job11")),
        ("bbc.2", ("bbcccccc", "gpqa")),
    ],
)
def test_ids_are_found(known: Database, given: str, found: tuple[str, str | None]) -> None:
    result = known.find(given)
    assert (result.invocation.id, result.job.id if result.job else None) == found


@pytest.mark.parametrize("given", ["b", "bb", "bb.1", "bb.99"])
def test_ambiguous_ids_name_what_they_may_be(known: Database, given: str) -> None:
    with pytest.raises(AmbiguousId) as caught:
        known.find(given)
    assert caught.value.candidates == ("bbcccccc", "bbbbbbbb")
    assert str(caught.value) == f"2 runs begin with '{given}'"
    assert caught.value.hint == "give more of it: bbcccccc or bbbbbbbb"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("zz354678", "did you mean zz345678?"),
        ("zz354678.2", "did you mean zz345678.2?"),
        ("zz.12", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.0", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.01", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.1.1", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.-1", "did you mean zz345678.1 or zz345678.11?"),
        ("zz.\u0661", "did you mean zz345678.1 or zz345678.11?"),
        ("", "see 'evalc ls runs'"),
        (" ", "see 'evalc ls runs'"),
        (".", "see 'evalc ls runs'"),
        (".1", "see 'evalc ls runs'"),
        ("%", "see 'evalc ls runs'"),
        ("z%", "see 'evalc ls runs'"),
        ("_z", "see 'evalc ls runs'"),
        ("z*", "see 'evalc ls runs'"),
        ("zz345678x", "did you mean zz345678?"),
        ("'; DROP TABLE invocations; --", "see 'evalc ls runs'"),
        ("☃\u202e\x1b[31m\x00", "see 'evalc ls runs'"),
        ("\udcff", "see 'evalc ls runs'"),
    ],
)
def test_unknown_ids_say_what_is_near(known: Database, given: str, hint: str) -> None:
    with pytest.raises(UnknownId) as caught:
        known.find(given)
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    assert len(known.listing()) == 3


@pytest.mark.parametrize("given", ["z" * 1_000_000, f"zz.{'9' * 1_000_000}"])
def test_very_long_ids_are_shown_in_short(known: Database, given: str) -> None:
    with pytest.raises(UnknownId) as caught:
        known.find(given)
    assert len(str(caught.value)) < 100
