"""How fast `evalc submit` and `evalc status` are, as ratios, and whether the bars are met.

    .venv/bin/python benchmarks/runner.py [--sizes 1,100,500] [--tracked 1000] [--runs N]
                                          [--no-peer] [--peer-venv DIR]
                                          [--scratch DIR] [--json]

They are timed on the tests' own Slurm cluster, which is a real one, through the tests' own sshd on
a port of this machine; both need root and what `tests/testbed/install.sh` installs. All jobs are
held: none runs while something is timed. Each is a job of its own, without a container, and without
another that follows it.

- `evalc submit` of a compiled bundle, as a whole process, over ssh, is compared with the plainest
  loop of `sbatch` over the same scripts, on the cluster itself and so without ssh.
- `evalc status`, as a whole process, is compared with one bare `squeue` over ssh, both of as
  many jobs as are tracked, once with a connection that both open (new), and once with one that both
  find open (shared).
- The peer's commands, of nemo-evaluator-launcher 0.2.6 in a virtual environment of its own, are run
  beside evalc's of the same name: both submit the same config of three tasks to the cluster, ask
  for it, list it and stop it. There is no bar; a ratio below 1 says that evalc is the faster.

What is compared runs in turns, so that a machine that is busy for a while is busy for both; the
first round does not count. Figures are medians of `--runs` wall times: most of the work is that of
Slurm's daemons and of sshd, whose CPU time is nobody's here. Outside the measured time, jobs are
cancelled after each submission, and the controller's clock is moved until it has forgotten them,
since it takes no more than 10,000 at a time.

Bundles and runs are in a file system in memory where there is one (`--scratch` says otherwise), for
the reason that `compile.py` gives. The time that a shared file system takes for the few files of
each job is not seen here.

Exit code: 0 all bars that were measured are met, 1 one is missed, 2 it could not be measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import peer
from peer import CannotMeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusters import Cluster
    from sshd import Sshd

    Ran = subprocess.CompletedProcess[str]

EVALC = (sys.executable, "-m", "evalc")
TESTS = Path(__file__).resolve().parent.parent / "tests"
# What people would type, in a copy of the bundle.
LOOP = (
    'for script in */sbatch_*.sh; do (cd "${script%/*}" && sbatch --parsable "${script##*/}"); done'
)
PATIENCE = 600  # seconds that one process may take
REMEMBERED = 300  # seconds for which the test cluster's controller knows of jobs that have ended
IN_MEMORY = Path("/dev/shm")  # where Linux has it; a folder of our own is made in it
SUBMIT, LOOP_NAME = "evalc submit", "loop of sbatch"
STATUS, SQUEUE = "evalc status", "squeue over ssh"
NEW, SHARED = "new", "shared"  # connections
# As users of either write it. The jobs are held: nothing in them would find its container here.
FOR_BOTH = """\
defaults:
  - execution: slurm/default
  - deployment: none
  - _self_
execution:
  hostname: testhost
  username: {user}
  account: research
  partition: batch
  output_dir: {results}
  walltime: "00:10:00"
  sbatch_extra_flags: {{hold: true}}
target:
  api_endpoint: {{url: http://127.0.0.1:9/v1/chat/completions, model_id: example}}
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
    - name: lm-evaluation-harness.gsm8k_cot_instruct
    - name: lm-evaluation-harness.mmlu_pro
"""
TASKS_FOR_BOTH = 3


def scratch_folder() -> Path:
    """Where bundles and runs are unless it is said: in memory, or with other temporary files."""
    return IN_MEMORY if IN_MEMORY.is_dir() else Path(tempfile.gettempdir())


@dataclass(frozen=True)
class Median:
    """The median of `runs` wall times in seconds, and the shortest; `over` says over what."""

    contestant: str
    over: str
    jobs: int
    runs: int
    wall: float
    least: float


@dataclass(frozen=True)
class Bar:
    """A ratio of wall times and what it may be at most; None was not measured."""

    what: str
    figure: float | None
    limit: float

    @property
    def met(self) -> bool | None:
        """Whether the figure keeps to its limit, None when there is none."""
        return None if self.figure is None else self.figure <= self.limit


@dataclass(frozen=True)
class Contestant:
    """What is timed: `run` does it, and `prepare` and `clean` what is needed before and after."""

    name: str
    prepare: Callable[[], None]
    run: Callable[[], Ran]
    clean: Callable[[], None]


class Bed:
    """The cluster, the way to it, and the folder of one benchmark.

    `codes` are exit codes that are as they should be; others raise CannotMeasureError.
    """

    def __init__(self, cluster: Cluster, server: Sshd, scratch: Path) -> None:
        self.cluster = cluster
        self.server = server
        self.scratch = scratch
        self.results = scratch / "results"
        self.env = {**os.environ, **server.env, "EVALC_HOME": str(scratch / "state")}

    def evalc(self, *words: str | Path, codes: Sequence[int] = (0,)) -> Ran:
        """Runs evalc to its end, on the machine from which ssh leads to the cluster."""
        return self.on_laptop(*EVALC, *words, codes=codes)

    def on_laptop(self, *words: str | Path, codes: Sequence[int] = (0,)) -> Ran:
        """Runs a command on that machine."""
        return _run(words, self.scratch, self.env, codes)

    def on_cluster(self, folder: Path, *words: str | Path) -> Ran:
        """Runs a command on the cluster's login node, without ssh."""
        return _run(words, folder, {**os.environ, **self.cluster.env}, (0,))

    def bundle(self, jobs: int) -> Path:
        """A compiled bundle of as many jobs."""
        config = self.scratch / f"{jobs}.json"
        config.write_text(
            json.dumps(
                {
                    "execution": {
                        "type": "slurm",
                        "engine": "none",
                        "hostname": "testhost",
                        "output_dir": str(self.results),
                        "walltime": "00:10:00",
                        "sbatch_extra_flags": {"hold": True},
                        "resume": {"strategy": "none"},
                    },
                    "target": {
                        "api_endpoint": {
                            "url": "http://127.0.0.1:9/v1/chat/completions",
                            "model_id": "example",
                        }
                    },
                    "evaluation": {
                        "tasks": [
                            {"name": f"task{number}", "command": "true"} for number in range(jobs)
                        ]
                    },
                }
            )
        )
        folder = self.scratch / f"bundle{jobs}"
        self.evalc("compile", config, "--out", folder)
        return folder

    def expect(self, jobs: int) -> None:
        """Raises CannotMeasureError unless just as many jobs are in the queue."""
        found = len(self.cluster.queue())
        if found != jobs:
            raise CannotMeasureError(f"{found} jobs are in the queue, not {jobs}")

    def clear(self) -> None:
        """Cancels all jobs; Slurm forgets them, and evalc its runs."""
        self.cluster.restore()
        self.cluster.move_clock(REMEMBERED + 1)
        for folder in (self.results, self.scratch / "state"):
            shutil.rmtree(folder, ignore_errors=True)

    def socket(self) -> Path | None:
        """Of evalc's shared connection, when it is open."""
        folder = Path(self.server.env["XDG_RUNTIME_DIR"]) / "evalc"
        return next((path for path in folder.glob("*") if path.is_socket()), None)

    def disconnect(self) -> None:
        """Ends evalc's shared connection."""
        socket = self.socket()
        if socket is not None:
            self.on_laptop("ssh", "-S", socket, "-O", "exit", "testhost")


def _run(
    words: Sequence[str | Path], folder: Path, env: dict[str, str], codes: Sequence[int]
) -> Ran:
    ran = subprocess.run(
        words,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if ran.returncode not in codes:
        command = " ".join(map(str, words))
        raise CannotMeasureError(f"{command}\nexit code {ran.returncode}\n{ran.stderr[-2000:]}")
    return ran


def contest(contestants: Sequence[Contestant], over: str, jobs: int, runs: int) -> list[Median]:
    """Times all in turns, `runs` rounds and one for nothing."""
    walls: dict[str, list[float]] = {one.name: [] for one in contestants}
    for _round in range(runs + 1):
        for one in contestants:
            one.prepare()
            start = time.perf_counter()
            one.run()
            walls[one.name].append(time.perf_counter() - start)
            one.clean()
    return [
        Median(name, over, jobs, runs, statistics.median(had[1:]), min(had[1:]))
        for name, had in walls.items()
    ]


def submit_contest(bed: Bed, jobs: int, runs: int) -> list[Median]:
    """`evalc submit` of as many jobs, and the loop."""
    bundle = bed.bundle(jobs)
    copy = bed.scratch / "copy"

    def copied() -> None:
        shutil.copytree(bundle, copy)

    def check() -> None:
        bed.expect(jobs)
        shutil.rmtree(copy, ignore_errors=True)
        bed.clear()

    return contest(
        [
            Contestant(SUBMIT, bed.disconnect, lambda: bed.evalc("submit", bundle), check),
            Contestant(LOOP_NAME, copied, lambda: bed.on_cluster(copy, "bash", "-c", LOOP), check),
        ],
        NEW,
        jobs,
        runs,
    )


def status_contest(bed: Bed, jobs: int, runs: int) -> list[Median]:
    """`evalc status` of as many jobs, and `squeue`, over new connections and over a shared one."""
    bed.evalc("submit", bed.bundle(jobs))
    bed.expect(jobs)
    nothing_over = (4,)  # status's exit code while jobs are under way

    def nothing() -> None:
        pass

    def ask() -> Ran:
        return bed.evalc("status", codes=nothing_over)

    def queue_anew() -> Ran:
        return bed.on_laptop("ssh", "testhost", "squeue")

    def queue_shared() -> Ran:
        return bed.on_laptop("ssh", "-S", bed.socket() or "none", "testhost", "squeue")

    told = json.loads(bed.evalc("status", "--json", codes=nothing_over).stdout)
    states = {job["state"] for run in told for job in run["jobs"]}
    if states != {"pending"}:
        raise CannotMeasureError(f"not all jobs are pending: {states}")
    medians = contest(
        [
            Contestant(STATUS, bed.disconnect, ask, nothing),
            Contestant(SQUEUE, nothing, queue_anew, nothing),
        ],
        NEW,
        jobs,
        runs,
    )
    medians += contest(
        [
            Contestant(STATUS, nothing, ask, nothing),
            Contestant(SQUEUE, nothing, queue_shared, nothing),
        ],
        SHARED,
        jobs,
        runs,
    )
    bed.clear()
    return medians


def peer_contest(bed: Bed, script: str, runs: int) -> list[Median]:
    """What both have commands for, in turns; one round for nothing."""
    config = bed.scratch / "both.yaml"
    config.write_text(FOR_BOTH.format(results=bed.results, user=getpass.getuser()))
    home = bed.scratch / "home"
    home.mkdir()
    env = {**bed.env, "HOME": str(home), "NEMO_EVALUATOR_TELEMETRY_LEVEL": "0"}
    walls: dict[str, list[float]] = {}

    def timed(name: str, *words: str | Path, codes: Sequence[int] = (0,)) -> str:
        start = time.perf_counter()
        ran = _run(words, bed.scratch, env, codes)
        walls.setdefault(name, []).append(time.perf_counter() - start)
        return ran.stdout

    def ours() -> None:
        told = timed("evalc run", *EVALC, "run", config, "--json")
        id_ = json.loads(told)[0]["invocation"]
        timed("evalc status", *EVALC, "status", id_, codes=(4,))
        timed("evalc ls runs", *EVALC, "ls", "runs")
        timed("evalc kill", *EVALC, "kill", id_)

    def theirs() -> None:
        timed("peer run", script, "run", "--config", config)
        (noted,) = (home / ".nemo-evaluator/run_configs").iterdir()
        id_ = noted.name.partition("_")[0]
        timed("peer status", script, "status", id_)
        timed("peer ls runs", script, "ls", "runs")
        timed("peer kill", script, "kill", id_)
        shutil.rmtree(home / ".nemo-evaluator")

    for _round in range(runs + 1):
        for one in (ours, theirs):
            bed.disconnect()
            one()
            bed.expect(0)
            bed.clear()
    return [
        Median(name, "own", TASKS_FOR_BOTH, runs, statistics.median(had[1:]), min(had[1:]))
        for command in ("run", "status", "ls runs", "kill")
        for name in (f"evalc {command}", f"peer {command}")
        for had in (walls[name],)
    ]


@contextmanager
def test_bed(scratch: Path) -> Iterator[Bed]:
    """The cluster and the server for the time of the block."""
    sys.path.insert(0, str(TESTS))
    import clusters  # noqa: PLC0415 - the path has to lead there
    import pytest  # noqa: PLC0415 - what the test beds end with where they cannot run
    import sshd  # noqa: PLC0415 - as clusters

    image = scratch / "image.tar"
    subprocess.run([sys.executable, TESTS / "testbed" / "image.py", image], check=True)
    try:
        with clusters.running(image, scratch) as cluster, sshd.running(cluster.env) as server:
            yield Bed(cluster, server, scratch)
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        raise CannotMeasureError(str(error)) from None


def measure(options: argparse.Namespace) -> list[Median]:
    """All contests."""
    options.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.scratch) as name,
        test_bed(Path(name)) as bed,
    ):
        medians = []
        for jobs in options.sizes:
            medians += submit_contest(bed, jobs, options.runs)
        if options.tracked:
            medians += status_contest(bed, options.tracked, options.runs)
        if options.peer:
            medians += peer_contest(bed, peer.script(options.peer_venv), options.runs)
        return medians


def judge(medians: Sequence[Median]) -> list[Bar]:
    """The bars, with what was measured for them."""
    of = {(median.contestant, median.over, median.jobs): median.wall for median in medians}

    def ratio(above: str, below: str, over: str, jobs: int) -> float | None:
        if (above, over, jobs) not in of:
            return None
        return of[above, over, jobs] / of[below, over, jobs]

    return [
        Bar("500 submitted, over the loop", ratio(SUBMIT, LOOP_NAME, NEW, 500), 1.3),
        Bar("status of 1,000, over squeue, new", ratio(STATUS, SQUEUE, NEW, 1000), 2),
    ]


def table(medians: Sequence[Median], bars: Sequence[Bar]) -> str:
    """Both as text for people. A ratio is over the line below it, of the same contest."""
    heads = ("what", "connection", "jobs", "runs", "wall s", "least s", "a job ms", "ratio")
    lines = ["{:16} {:12} {:>5} {:>5} {:>8} {:>8} {:>9} {:>6}".format(*heads)]
    for ours, theirs in zip(medians[::2], medians[1::2], strict=True):
        for median in (ours, theirs):
            ratio = f"{ours.wall / theirs.wall:>6.2f}" if median is ours else ""
            lines.append(
                f"{median.contestant:16} {median.over:12} {median.jobs:>5} {median.runs:>5}"
                f" {median.wall:>8.3f} {median.least:>8.3f}"
                f" {median.wall / median.jobs * 1000:>9.2f} {ratio}".rstrip()
            )
    lines += ["", "bars, judged on wall time"]
    words = {True: "met", False: "MISSED", None: "not measured"}
    for bar in bars:
        figure = "-" if bar.figure is None else f"{bar.figure:.2f}"
        lines.append(f"{bar.what:38} {figure:>6} x  bar <= {bar.limit:<4g} {words[bar.met]}")
    return "\n".join(lines) + "\n"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time evalc's runner and judge the ratios.")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(part) for part in text.split(",") if part],
        default=[1, 100, 500],
        help="numbers of jobs to submit, default 1,100,500; '' for none",
    )
    parser.add_argument(
        "--tracked", type=int, default=1000, help="jobs to ask for, 0: none; default: %(default)s"
    )
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave it out")
    parser.add_argument("--peer-venv", type=Path, default=peer.VENV, help="default: %(default)s")
    parser.add_argument(
        "--scratch", type=Path, default=scratch_folder(), help="default here: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, returns the exit code."""
    options = arguments(argv)
    try:
        medians = measure(options)
    except CannotMeasureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    bars = judge(medians)
    if options.json:
        report = {
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
            "medians": [dataclasses.asdict(median) for median in medians],
            "bars": [{**dataclasses.asdict(bar), "met": bar.met} for bar in bars],
        }
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        sys.stdout.write(table(medians, bars))
    return 1 if any(bar.met is False for bar in bars) else 0


if __name__ == "__main__":
    sys.exit(main())
