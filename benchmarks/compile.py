"""How fast `evalc compile` is, as ratios, and whether the bars are met.

    .venv/bin/python benchmarks/compile.py [--sizes 3,100,1000,10000] [--runs N] [--no-peer]
                                           [--peer-venv DIR] [--scratch DIR] [--json]

Whole processes are timed: the console script `evalc` beside the running Python, from exec to exit,
on configs made by `make_config.py`. Each is compared with

- the peer, nemo-evaluator-launcher 0.2.6, `run --dry-run` on the same file (3 and 100 tasks), in a
  virtual environment of its own that is made on first use (`--peer-venv`, default
  `build/benchmark-peer`). Both compile the same tasks for this machine and for Slurm. The bars are
  judged on the Slurm configs, as the peer's known figures are: it parses its catalogue once a task
  there, which takes it minutes at 100 tasks, and twice in all on a local config. There the ratios
  are printed without a bar, beside what the floor's would be: a compiler can't have a larger one;
- the floor, `floor.py`: the least that has to be done for the same files, byte by byte. That they
  are the same is asserted before anything is timed; when evalc's templates change, those in
  `floor/` have to follow;
- bare `python -c pass`, for `evalc --help`.

What is compared runs in turns, so that a machine that is busy for a while is busy for both. Figures
are medians of `--runs` runs, fewer where a run is so long that a minute and a half is used up. Bars
are judged on CPU time, user and system, of the process and the children that it waited for: other
load on the machine disturbs it far less than wall time. The ratio of wall times stands beside it,
and on a quiet machine it tells the same story. Caches are warm: bytecode is compiled, files are in
memory, and a first round does not count.

Bundles are written to a file system in memory where there is one (`--scratch` says otherwise). On
ext4 an inode is not reused for minutes after it was freed, and who writes next pays for the search:
after a benchmark has cleaned up behind itself, the following one finds evalc and the floor three
times slower and so nearly alike. The price is that the cost of a `fsync` is not seen here.

Peak memory is the kernel's `ru_maxrss`, which is never below that of the process that forked: this
one has some 30 MB, so smaller figures than that are not seen, and the judged one is far above.

Exit code: 0 all bars that were measured are met, 1 one is missed, 2 it could not be measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import json
import operator
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import make_config
import peer
from peer import CannotMeasureError

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
PEER_SIZES = (3, 100)
BARE = "python -c pass"
HELP_RUNS = 21  # these take milliseconds
BUDGET = 90.0  # seconds that one contestant may use at one size
DIFF_LINES = 20  # of a diff that are shown
MEGABYTE = 1e6
IN_MEMORY = Path("/dev/shm")  # where Linux has it; a folder of our own is made in it
ROOM = 4e9  # bytes that all runs on 10,000 tasks may come to
SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Sample:
    """One process: wall and CPU time in seconds, peak memory in bytes."""

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Median:
    """What `runs` samples of one contestant come to, the median of each figure on its own."""

    contestant: str
    tasks: int
    runs: int
    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True)
class Bar:
    """A figure and the limit it has to keep to, by `sign`; None was not measured.

    A ratio is one of CPU times; `wall` is then that of wall times, which is not judged.
    """

    what: str
    figure: float | None
    wall: float | None
    sign: str
    limit: float
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether the figure is on the right side, None when there is none."""
        if self.figure is None:
            return None
        return SIGNS[self.sign](self.figure, self.limit)


@dataclass(frozen=True)
class Contestant:
    """A command to time. `prepare(run)` gives the arguments of a run, outside the measured time."""

    name: str
    prepare: Callable[[int], list[str]]


def scratch_folder() -> Path:
    """Where bundles are written unless it is said: in memory, or in the build folder."""
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM:
        return IN_MEMORY
    return BUILD


def environment(home: Path) -> dict[str, str]:
    """What every process gets: no settings of Python's, a home of its own, the keys it asks for."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    keys = dict.fromkeys(make_config.HOST_ENV, "not-a-secret")
    return {**kept, **keys, "HOME": str(home), "NEMO_EVALUATOR_TELEMETRY_LEVEL": "0"}


def timed(argv: list[str], folder: Path) -> Sample:
    """Runs a command in `folder` to its end; raises CannotMeasureError when it fails."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    errors = folder / "stderr"
    with errors.open("wb") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=folder, env=environment(home), stdout=subprocess.DEVNULL, stderr=stderr
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = errors.read_text(errors="replace")[-2000:]
        raise CannotMeasureError(f"{' '.join(argv)}\nexit code {process.returncode}\n{tail}")
    # Linux counts it in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def contest(contestants: list[Contestant], tasks: int, runs: int, folder: Path) -> list[Median]:
    """Times all in turns, `runs` rounds; who has used up the budget sits out."""
    samples: dict[str, list[Sample]] = {c.name: [] for c in contestants}
    for run in range(runs):
        for contestant in contestants:
            had = samples[contestant.name]
            if sum(sample.wall for sample in had) < BUDGET:
                had.append(timed(contestant.prepare(run), folder))
    return [
        Median(
            name,
            tasks,
            len(had),
            statistics.median(sample.wall for sample in had),
            statistics.median(sample.cpu for sample in had),
            statistics.median(sample.memory for sample in had),
        )
        for name, had in samples.items()
    ]


def evalc() -> str:
    """The console script beside the running Python."""
    script = Path(sys.executable).parent / "evalc"
    if not script.exists():
        raise CannotMeasureError(f"there is no {script}: install evalc into this environment")
    return str(script)


def make_model(bundle: Path, model: Path) -> None:
    """What the floor is given in place of a compiler, from evalc's bundle; see there."""
    plan = json.loads((bundle / "plan.json").read_bytes())
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    tasks = {}
    for job in plan["jobs"]:
        (step,) = job["steps"]
        script = (bundle / step["id"] / "run.sh").read_text(encoding="utf-8")
        digest = re.search("^_digest=(.*)$", script, re.MULTILINE)
        assert digest, "a script knows its digest"
        kept = {key: step[key] for key in ("task", "harness", "image", "endpoint_type")}
        tasks[step["id"]] = {**kept, "digest": digest[1]}
    shutil.copytree(
        bundle,
        model / "top",
        ignore=lambda folder, _names: tasks if folder == str(bundle) else (),
    )
    facts = {"version": manifest["compiler"]["version"], "config": plan["name"], "tasks": tasks}
    (model / "tasks.json").write_text(json.dumps(facts), encoding="utf-8")


def files(folder: Path) -> dict[str, bytes]:
    """All files under a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def assert_same(ours: Path, theirs: Path) -> None:
    """Raises CannotMeasureError, with the first difference, unless the floor did evalc's work."""
    expected, found = files(ours), files(theirs)
    for name in sorted(expected | found):
        if expected.get(name) != found.get(name):
            a, b = (side.get(name, b"").decode().splitlines() for side in (expected, found))
            diff = list(difflib.unified_diff(a, b, "evalc", "floor", lineterm=""))
            raise CannotMeasureError(
                f"{name}: evalc's and the floor's differ; mend floor.py or its templates\n"
                + "\n".join(diff[:DIFF_LINES])
            )


def compile_contest(tasks: int, options: argparse.Namespace, scratch: Path) -> list[Median]:
    """evalc, the floor and, where it is compared, the peer on a config of `tasks` tasks."""
    folder = scratch / str(tasks)
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(make_config.config(tasks), encoding="utf-8")
    model = folder / "model"

    def compile_argv(run: int | str, file: Path = config) -> list[str]:
        out = folder / f"evalc-{file.stem}-{run}"
        return [evalc(), "compile", str(file), "--out", str(out)]

    def floor_argv(run: int | str) -> list[str]:
        program = [sys.executable, str(HERE / "floor.py")]
        return [*program, str(config), str(model), str(folder / f"floor-{run}")]

    def peer_argv(file: Path, _run: int) -> list[str]:
        # It makes a folder of its own for each run.
        return [peer.script(options.peer_venv), "run", "--config", str(file), "--dry-run"]

    contestants = [Contestant("evalc", compile_argv), Contestant("floor", floor_argv)]
    against_peer = options.peer and tasks in PEER_SIZES
    if against_peer:
        contestants.append(Contestant("peer", functools.partial(peer_argv, config)))
    if against_peer:
        slurm = folder / "slurm.yaml"
        slurm.write_text(make_config.config(tasks, slurm=True), encoding="utf-8")
        contestants.append(Contestant("evalc slurm", functools.partial(compile_argv, file=slurm)))
        contestants.append(Contestant("peer slurm", functools.partial(peer_argv, slurm)))

    timed(compile_argv("first"), folder)
    made = folder / f"evalc-{config.stem}-first"
    make_model(made, model)
    timed(floor_argv("first"), folder)
    assert_same(made, folder / "floor-first")
    return contest(contestants, tasks, options.runs, folder)


def help_contest(scratch: Path) -> list[Median]:
    """`evalc --help` and a Python that does nothing."""
    contestants = [
        Contestant(BARE, lambda _run: [sys.executable, "-c", "pass"]),
        Contestant("evalc --help", lambda _run: [evalc(), "--help"]),
    ]
    return contest(contestants, 0, HELP_RUNS, scratch)


def judge(medians: list[Median]) -> list[Bar]:
    """The bars, with what was measured for them."""
    of = {(median.contestant, median.tasks): median for median in medians}

    def ratio(
        what: str, above: tuple[str, int], below: tuple[str, int], sign: str, limit: float
    ) -> Bar:
        if above not in of or below not in of:
            return Bar(what, None, None, sign, limit, "x")
        a, b = of[above], of[below]
        # For each task, where both ran on some.
        share = (below[1] or 1) / (above[1] or 1)
        return Bar(what, a.cpu / b.cpu * share, a.wall / b.wall * share, sign, limit, "x")

    memory = of[("evalc", 1000)].memory / MEGABYTE if ("evalc", 1000) in of else None
    return [
        ratio("3 on Slurm, faster than the peer", ("peer slurm", 3), ("evalc slurm", 3), ">=", 30),
        ratio(
            "100 on Slurm, faster than the peer",
            ("peer slurm", 100),
            ("evalc slurm", 100),
            ">=",
            200,
        ),
        ratio("1,000 tasks, over the floor", ("evalc", 1000), ("floor", 1000), "<", 2.5),
        ratio("a task at 10,000, over one at 1,000", ("evalc", 10_000), ("evalc", 1000), "<=", 1.3),
        ratio("evalc --help, over python -c pass", ("evalc --help", 0), (BARE, 0), "<", 6),
        Bar("peak memory at 1,000 tasks", memory, None, "<", 200, "MB"),
    ]


def local_ratios(of: dict[tuple[str, int], Median], tasks: int) -> list[str]:
    """How many times faster than the peer evalc is on a local config, and the most there can be."""
    theirs, lines = of["peer", tasks], []
    for name, note in (
        ("evalc", "no bar"),
        ("floor", "no bar: the most that a compiler can reach"),
    ):
        own = of[name, tasks]
        what = f"{tasks} here, peer over {name}"
        lines.append(
            f"{what:36} {theirs.cpu / own.cpu:>8.2f} {theirs.wall / own.wall:>8.2f} x   {note}"
        )
    return lines


def table(medians: list[Median], bars: list[Bar]) -> str:
    """Both as text for people. The upper table's ratios are over evalc's on the same config."""
    of = {(median.contestant, median.tasks): median for median in medians}
    heads = ("what", "tasks", "runs", "CPU s", "wall s", "memory MB", "CPU ratio", "wall ratio")
    lines = ["{:14} {:>6} {:>5} {:>9} {:>9} {:>10} {:>10} {:>10}".format(*heads)]
    for median in medians:
        line = (
            f"{median.contestant:14} {median.tasks or '':>6} {median.runs:>5} {median.cpu:>9.3f}"
            f" {median.wall:>9.3f} {median.memory / MEGABYTE:>10.0f}"
        )
        own = "evalc slurm" if median.contestant.endswith(" slurm") else "evalc"
        ours = of.get((own, median.tasks))
        if ours:
            line += f" {median.cpu / ours.cpu:>10.2f} {median.wall / ours.wall:>10.2f}"
        lines.append(line)
    for tasks in PEER_SIZES:
        if ("peer", tasks) in of:
            lines += ["", *local_ratios(of, tasks)]
    lines += ["", f"{'bars, judged on CPU time':36} {'CPU':>8} {'wall':>8}"]
    words = {True: "met", False: "MISSED", None: "not measured"}
    for bar in bars:
        figure, wall = ("-" if x is None else f"{x:.2f}" for x in (bar.figure, bar.wall))
        lines.append(
            f"{bar.what:36} {figure:>8} {wall:>8} {bar.unit:2}  bar {bar.sign:>2} {bar.limit:<4g}"
            f" {words[bar.met]}"
        )
    return "\n".join(lines) + "\n"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time `evalc compile` and judge the ratios.")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[3, 100, 1000, 10_000],
        help="numbers of tasks, default 3,100,1000,10000",
    )
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave it out")
    parser.add_argument("--peer-venv", type=Path, default=peer.VENV, help="default: %(default)s")
    parser.add_argument(
        "--scratch", type=Path, default=scratch_folder(), help="default here: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    return parser.parse_args(argv)


def measure(options: argparse.Namespace) -> list[Median]:
    """All contests."""
    if options.peer:
        peer.script(options.peer_venv)
    options.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.scratch) as name:
        scratch = Path(name)
        # Once for nothing: bytecode is compiled and files come into memory.
        warm = scratch / "warm.yaml"
        warm.write_text(make_config.config(3), encoding="utf-8")
        timed([evalc(), "compile", str(warm), "--out", str(scratch / "warm")], scratch)
        if options.peer:
            timed([peer.script(options.peer_venv), "--help"], scratch)
        medians = help_contest(scratch)
        for tasks in options.sizes:
            medians += compile_contest(tasks, options, scratch)
        return medians


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
