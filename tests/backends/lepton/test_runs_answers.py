"""What the platform may answer, read through a client of which only the session is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import compiled, config

from evalc.backends.lepton.runs import journal
from evalc.backends.lepton.runs import platform as module
from evalc.backends.lepton.runs.answers import Job
from evalc.backends.lepton.runs.folder import RunFolder
from evalc.backends.lepton.runs.platform import Platform
from evalc.backends.lepton.runs.settling import settle
from evalc.backends.running import Run, Unreachable
from evalc.bundle import write
from evalc.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

HOSTED = {"api_endpoint": {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}}
JOB = {"metadata": {"id": "a-1", "name": "a"}, "status": {"state": "Running"}}


def platform(*answers: Any) -> Platform:
    """One whose requests get these answers, the last one again and again."""
    left = list(answers)

    def get(*_: object, **__: object) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return Platform(
        SimpleNamespace(
            workspace_id="w",
            _get=get,
            job=SimpleNamespace(ensure_json=lambda answer: answer),
            log=SimpleNamespace(get_log=get),
        )
    )


@pytest.mark.parametrize(
    ("change", "job"),
    [
        ({}, Job("a-1", "a", "Running")),
        # All of this makes the client leave a job out of its list.
        ({"spec": None}, Job("a-1", "a", "Running")),
        ({"spec": {"mounts": [{"path": "/"}]}}, Job("a-1", "a", "Running")),
        (
            {"status": {"state": "Frozen", "creation_time": "2026-01-02T03:04:05Z"}},
            Job("a-1", "a", "Frozen"),
        ),
        (
            {"status": {"state": "Completed", "completion_time": 1.5}},
            Job("a-1", "a", "Completed", ended=1.5),
        ),
        ({"status": None}, Job("a-1", "a", "")),
        ({"metadata": {"id": "a-b-1", "created_at": 2000}}, Job("a-b-1", "a-b", "Running", 2.0)),
    ],
)
def test_no_job_is_left_out(change: dict[str, Any], job: Job) -> None:
    assert platform([JOB | change], []).jobs("a") == [job]
    assert platform({"jobs": [JOB | change]}, {"jobs": None}).jobs("a") == [job]


def test_a_server_without_pages_or_jobs() -> None:
    assert platform([JOB]).jobs("a") == [Job("a-1", "a", "Running")]
    assert platform(None).jobs("a") == []
    assert platform(None).replicas(job="a-1") == []
    assert list(platform({"data": {"result": None}}).past_log(job="a-1")) == []


@pytest.mark.parametrize("answer", ["no", {"error": "no"}, [{}], [{"metadata": {}}], [None]])
def test_what_is_no_list_of_jobs_is_no_answer(answer: Any) -> None:
    with pytest.raises(Unreachable, match="its answer can't be read"):
        platform(answer).jobs("a")


def test_what_is_no_log_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="its answer can't be read"):
        list(platform({"status": "error"}).past_log(job="a-1"))


def test_who_is_waited_for_in_vain_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(*_: object, **__: object) -> Any:
        asked.append(1)
        if len(asked) < 4:
            raise ConnectionError
        return []

    monkeypatch.setattr(module, "_PATIENCE", 0.6)
    lost = SimpleNamespace(ensure_json=lambda answer: answer)
    client = Platform(SimpleNamespace(workspace_id="w", _get=get, job=lost))
    for tries in (2, 1):
        before = len(asked)
        with pytest.raises(Unreachable):
            client.jobs("a")
        assert len(asked) - before == tries
    assert client.jobs("a") == []
    assert not Platform._is_lost


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_seconds_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALC_SETTLE_SECONDS", text)
    with pytest.raises(UsageError, match="EVALC_SETTLE_SECONDS is no number of seconds"):
        settle()


def test_how_an_earlier_job_failed_is_not_told_of_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALC_LEPTON_RESULTS", str(tmp_path))
    write(compiled(tmp_path, config(target=HOSTED)), tmp_path / "run", force=False)
    folder = RunFolder(Run("qwertzui", str(tmp_path / "run"), {}, (), 0.0))
    (plan,) = folder.jobs.values()
    place = folder.stored(plan)
    assert place is not None
    (place / "logs").mkdir(parents=True)
    (place / "logs/stage.exit").write_text("2026-01-02T03:04:05Z 3 the harness failed\n")
    path = folder.journal_of(plan.folder)
    for number in ("1", "2"):
        journal.add(path, "submitting", name=plan.name, n=number)
        journal.add(path, "submitted", job=f"{plan.name}-{number}")
        stage = folder.stage(plan)
        # The first one may have another clock.
        assert (stage is not None) == (number == "1")
    (place / "logs/stage.exit").write_text("2026-01-02T03:04:05Z 0\n")
    finished = folder.stage(plan)
    assert finished is not None
    assert finished.code == 0
