"""How bundles for Slurm are submitted, followed and stopped: with their own scripts, over a host.

The host needs bash and Slurm's commands. What is run there is in ``templates/runner``; what it
prints, :mod:`seen` and :mod:`journal` take apart, and :mod:`judge` says what it means.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalc.backends.running import Sight, Spent, State, Stopped, Unreachable, text_of, whole_number
from evalc.backends.slurm.runs import journal, seen
from evalc.backends.slurm.runs.judge import Evidence, judge
from evalc.resources import read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.backends.running import Host, Inquiry, Job, Ran, Run
    from evalc.backends.slurm.runs.seen import Seen

# Seconds that cancelled jobs have to leave the queue. A harness may take longer to save its work;
# what is stopped then is stopped all the same.
_PATIENCE = 15
# submit_all.sh's exit code when Slurm, or another one that submits, is not ready yet.
_NOT_NOW = (69, 75)
# Before the submission, since the clocks of this machine and of Slurm may differ.
_EARLIER = 86400
# The script of the job that exports results.
EXPORT = "sbatch_export.sh"
_LOOK = ("slurm_place.sh", "slurm_look.sh")
_LIMIT = re.compile(r"^ +limit_samples: (\d+)$", re.MULTILINE)
_REFUSAL = re.compile(r"\[[^]]*\] (?P<name>.+?): not submitted: (?P<words>.*)")


class SlurmRuns:
    """See :class:`evalc.backends.running.Runs`."""

    def checks(self, bundle: Path, needs: Needs) -> Inquiry:
        from evalc.backends.slurm.runs.diagnosis import inquiry

        return inquiry(bundle, needs)

    def secrets_files(self, run: Run, secrets: Mapping[str, str]) -> Mapping[str, bytes]:
        """Which of them a job needs its script knows: ``submit_all.sh`` removes the others."""
        if not secrets:
            return {}
        data = "".join(f"{name}={value}\0" for name, value in secrets.items()).encode(
            errors="surrogateescape"
        )
        scripts = {f"sbatch_{job.id}.sh" for job in run.jobs if not _is_at_top(run, job)}
        if run.exports:
            scripts.add(EXPORT)
        if len(run.jobs) == 1:
            # Of a single job only the folder tells; slurm_submit.sh removes the other.
            scripts.add("sbatch_all.sh")
        return {f".secrets.{script}": data for script in sorted(scripts)}

    def submit(
        self, host: Host, run: Run, jobs: Sequence[str], *, again: bool,
        env: Mapping[str, str], said: Callable[[str], None],
    ) -> Mapping[str, Sight]:  # fmt: skip
        """The secrets are in their files; ``env`` is not looked at."""
        del env
        ran = host.bash(
            _script("slurm_submit.sh", *_LOOK),
            _since([run]),
            run.folder,
            "again" if again else "",
            *jobs,
            stdin=f"{run.folder}\0".encode(errors="surrogateescape"),
            said=said,
        )
        found = _read(host, ran)
        if found.submitted in _NOT_NOW:
            raise Unreachable(host.name, _last_words(ran))
        refused = _refusals(ran.err)
        sights = {}
        for position, job in enumerate(run.jobs):
            if jobs and job.id not in jobs:
                continue
            sight = _judge(found, 0, run, position)
            words = refused.get(job.id) or refused.get("all tasks") or refused.get("the array")
            why = words and f"Slurm refused it: {words}"
            if sight.state is State.SUBMITTING:
                why = why or f"not submitted: {_last_words(ran)}"
            if why is not None and not sight.state.is_end and not sight.native:
                sight = Sight(State.FAILED, why, attempts=sight.attempts)
            sights[job.id] = sight
        return sights

    def poll(self, host: Host, runs: Sequence[Run]) -> Mapping[str, Mapping[str, Sight]]:
        ran = host.bash(
            _script(*_LOOK),
            _since(runs),
            stdin="".join(f"{run.folder}\0" for run in runs).encode(errors="surrogateescape"),
        )
        found = _read(host, ran)
        return {
            run.invocation: {
                job.id: _judge(found, number, run, position)
                for position, job in enumerate(run.jobs)
            }
            for number, run in enumerate(runs)
        }

    def cancel(self, host: Host, run: Run, jobs: Sequence[str]) -> Sequence[Stopped]:
        wanted = [
            (job.id, position)
            for position, job in enumerate(run.jobs)
            if not jobs or job.id in jobs
        ]
        ran = host.bash(
            _script("slurm_place.sh", "slurm_cancel.sh"),
            str(_PATIENCE),
            run.folder,
            read_template("lib/states.sh"),
            "some" if jobs else "all",
            *(f"{job}:{position}" for job, position in wanted),
        )
        lines = [line.split(" ", 3) for line in ran.out.splitlines()]
        faults = [" ".join(line[1:]) for line in lines if line[0] == "fault"]
        if ran.code != 0:
            faults.append(_last_words(ran))
        found = [_stopped(job, lines, faults) for job, _ in wanted]
        # The job that exports belongs to the run, and is told with its last job.
        *others, last = found
        more = _stopped(EXPORT, lines, []).what
        if any(line[:2] == ["was", EXPORT] for line in lines):
            more = tuple(f"exporting its results: {words}" for words in more)
            last = Stopped(last.job, last.done, (*last.what, *more))
        return [*others, last]

    def logs(self, run: Run, job: str, what: str) -> Sequence[str]:
        (position, one), *_ = ((at, one) for at, one in enumerate(run.jobs) if one.id == job)
        homes = [""] if len(run.jobs) == 1 else []
        homes += [] if _is_at_top(run, one) else [f"{job}/"]
        if what == "client":
            return [f"{step}/logs/client_stdout.log" for step in one.steps]
        if what == "server":
            return [f"{home}logs/server_*_stdout.log" for home in homes]
        elements = [f"slurm-*_{position}.log"] if run.options.get("array") else []
        return [*elements, *(f"{home}slurm-*.log" for home in homes)]

    def spent(self, folder: Path, job: Job) -> Sequence[Spent]:
        """See :class:`evalc.backends.running.Telling`: by the journal, all its chains."""
        return [
            Spent(link.job, link.start, _end_of(link), link.word or link.kind, link.gpus)
            for chain in journal.read_all(_journal(folder, job))
            for link in chain.links.values()
        ]

    def why(self, folder: Path, job: Job) -> str:
        """See there."""
        chain = journal.read(_journal(folder, job))
        return chain.reason or (chain.last.reason if chain.last else "")

    def digest(self, folder: Path, step: str) -> str:
        """See there."""
        line = rf"^(?:_tasks=\(|  )(?:.* )?'?{re.escape(step)}:([0-9a-f]+)\b"
        found = re.search(line, text_of(folder / "submit_all.sh"), re.MULTILINE)
        return found[1] if found else ""


def _journal(folder: Path, job: Job) -> str:
    """A job's journal, empty where there is none: at the top when all tasks share the job."""
    homes = [folder / job.id, folder]
    return next(filter(None, (text_of(home / "logs/journal") for home in homes)), "")


def _end_of(link: journal.Link) -> float | None:
    """When an attempt ended. The line may be of the next attempt, which only then found out."""
    if link.start is not None and link.elapsed is not None:
        return link.start + link.elapsed
    return journal.seconds(link.ended) if link.kind else None


def _is_at_top(run: Run, job: Job) -> bool:
    """Whether it surely is the job of all tasks, which stands at the bundle's top. Of one of a
    single task, or whose tasks could be those of a matrix's cell, only the folder tells."""
    of_cell = all(step == job.id or step.startswith(f"{job.id}.") for step in job.steps)
    return len(run.jobs) == 1 and not of_cell


def _script(*names: str) -> str:
    return "\n".join(read_template(f"runner/{name}") for name in ("slurm_path.sh", *names))


def _since(runs: Sequence[Run]) -> str:
    return str(max(0, int(min(run.submitted for run in runs)) - _EARLIER))


def _read(host: Host, ran: Ran) -> Seen:
    """What the look at the runs has seen; Unreachable when it did not come to its end."""
    found = seen.read(ran.out)
    if ran.code != 0 or not found.now:
        raise Unreachable(host.name, _last_words(ran))
    return found


def _last_words(ran: Ran) -> str:
    lines = [line for line in ran.err.splitlines() if line.strip()]
    return re.sub(r"^\[[^]]*\] ", "", lines[-1]) if lines else f"bash ended with {ran.code}"


def _refusals(err: str) -> dict[str, str]:
    """By the name of a job, what sbatch said against it, in one line."""
    found: dict[str, str] = {}
    name = ""
    for line in err.splitlines():
        refusal = _REFUSAL.match(line)
        if refusal:
            name = refusal["name"]
            found[name] = refusal["words"]
        elif line.startswith("["):
            name = ""
        elif name:
            found[name] += f" {line.strip()}"
    return {name: words.replace("sbatch: error: ", "") for name, words in found.items()}


def _judge(found: Seen, number: int, run: Run, position: int) -> Sight:
    job = run.jobs[position]
    lost = number in found.lost
    folder = found.folders.get(number, "")
    # Only a folder that is there tells it.
    shared = number in found.shared
    home, task = (folder, "") if shared else (f"{folder}/{job.id}", job.id)
    script = f"{home}/sbatch_all.sh" if shared else f"{home}/sbatch_{job.id}.sh"

    places = [script, f"{folder}/sbatch_array.sh#{position}"]
    if lost and len(run.jobs) == 1:
        places.append(f"{folder}/sbatch_all.sh")
    done, total = _samples(found, number, job)
    accounts = None
    if found.accounts is not None:
        # Where ids have begun anew, another job has this one's.
        accounts = found.accounts.get(folder, {}) | found.accounts.get(home, {})
    return judge(
        Evidence(
            chain=journal.read(found.files.get(("journal", number, task), "")),
            queue=tuple(row for place in places for row in found.queue.get(place, ())),
            unasked=found.unasked,
            accounts=accounts,
            unaccounted=found.unaccounted,
            exits=tuple(_exit(found.files.get(("exit", number, step), "")) for step in job.steps),
            there=bool(folder) and not lost,
            now=found.now,
            attempts=_attempts(run),
            done=done,
            total=total,
        )
    )


def _attempts(run: Run) -> int:
    resume = run.options.get("resume") or {}
    return 1 if resume.get("strategy") == "none" else int(resume.get("attempts") or 0)


def _exit(text: str) -> tuple[int, str] | None:
    words = text.split(maxsplit=2)
    code = whole_number(words[1]) if len(words) > 1 else None
    return None if code is None else (code, " ".join(words[2:]).strip())


def _samples(found: Seen, number: int, job: Job) -> tuple[int | None, int | None]:
    """How many samples of how many are done. nemo-evaluator counts in the file ``progress`` of its
    results; how many there are is known when the config limits them, of all tasks."""
    done = None
    total: int | None = 0
    for step in job.steps:
        count = whole_number(found.files.get(("progress", number, step), ""))
        if count is not None:
            done = (done or 0) + count
        limit = _LIMIT.search(found.files.get(("config", number, step), ""))
        total = total + int(limit[1]) if limit and total is not None else None
    return done, total if done is not None else None


def _stopped(job: str, lines: Sequence[Sequence[str]], faults: Sequence[str]) -> Stopped:
    """What slurm_cancel.sh did to a job, in words."""
    mine = [line for line in lines if len(line) > 1 and line[1] == job]
    left = {line[2]: line[3] for line in mine if line[0] == "left"}
    what = []
    for kind, _, *rest in mine:
        match kind, rest:
            case "was", [id_, state] if id_ not in left:
                what.append(f"cancelled job {id_}, which was {state}")
            case "left", [id_, "COMPLETING"]:
                what.append(f"cancelled job {id_}; its nodes are still being cleaned")
            case "left", [id_, state]:
                what.append(f"job {id_} is {state} still")
            case "end", ["done", *_]:
                what.append("had finished already")
            case "end", ["stop", *words]:
                what.append(f"had stopped already: {' '.join(words)}")
            case "gone", _:
                what.append("nothing of it was in the queue")
            case "none", _:
                what.append("it had not been submitted")
            case "lost", _:
                found = "" if what else "; nothing of it is in the queue"
                what.append(f"its folder is gone: looked for by its script's path{found}")
    done = not faults and all(state == "COMPLETING" for state in left.values())
    return Stopped(job, done, (*what, *faults))
