"""Whether what a run needs is there: asked of the host in one round trip, before anything is run.

Nothing is started, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalc.backends.running import Check, Ran, Unreachable, Verdict, remote_of
from evalc.bundle.model import PLAN
from evalc.errors import EvalcError, UsageError
from evalc.resources import read_template
from evalc.runner.database import Database
from evalc.runner.database.opening import default_path
from evalc.runner.reaching import (
    MissingSecrets,
    address_of,
    output_folder,
    runs_for,
    text_of,
)
from evalc.runner.transport import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.running import Host
    from evalc.bundle.read import StoredBundle

PROGRAMS = ("ssh", "docker", "podman", "sbatch")
# In bytes. With less, the first large log or cache fills the disk.
_LEAST_FREE = 10**9
# Seconds for all questions together, each of which has 20 at most.
_PATIENCE = 150.0
# df -P: the size in KiB, what is used, what is free, and its share.
_FREE = re.compile(r" \d+ +\d+ +(\d+) +(?:\d+%|-) ")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. ``reached`` is whether the host was, without which most is not known."""

    checks: tuple[Check, ...]
    reached: bool = True


def of_machine() -> Diagnosis:
    """What this machine has of what evalc may use."""
    return Diagnosis((_database(), *(_program(name) for name in PROGRAMS)))


def of_bundle(bundle: StoredBundle, *, to: str | None, environ: Mapping[str, str]) -> Diagnosis:
    """Whether a bundle could be submitted and would find what it needs.

    ``to`` is ``[USER@]HOST`` in the place of the config's ``hostname``. Raises
    :class:`~evalc.runner.reaching.NoRunner`.
    """
    runs = runs_for(bundle.backend, f"run it by hand: cd {bundle.path} && {bundle.run_hint}")
    # Without bash nobody would answer.
    tools = tuple(tool for tool in bundle.needs.tools if tool != "bash")
    needs = replace(bundle.needs, tools=tools)
    inquiry = runs.checks(bundle.path, needs)
    here = [*_edits(bundle), *_secrets(bundle, environ)]
    try:
        hostname, username = address_of(bundle.options, to, environ)
        host = connect(hostname, username, text_of(bundle.options.get("ssh_key_path"), environ))
    except (UsageError, MissingSecrets) as error:
        return Diagnosis((Check(Verdict.WRONG, str(error), error.hint), *here), reached=False)
    remote = hostname is not None
    mounts, open_mounts = _mounts(bundle, {} if remote else environ)
    files = (*inquiry.files, *mounts)
    folder = _results_folder(bundle, environ, remote=remote)
    arguments = [
        "/" if isinstance(folder, Check) else folder,
        *(str(len(needs.tools)), *needs.tools),
        *(str(len(files)), *(path for _, path in files)),
        *inquiry.arguments,
    ]
    try:
        answers = _ask(host, inquiry.script, arguments)
    except Unreachable as error:
        lost = Check(Verdict.WRONG, f"{error.host} can't be reached: {error.why}")
        return Diagnosis((lost, *here), reached=False)
    platform = remote_of(runs)
    where = platform.where if platform is not None else "this machine"
    reached = f"{host.name} can be reached" if remote else f"jobs run on {where}"
    return Diagnosis(
        (
            Check(Verdict.OK, reached),
            *inquiry.judge(answers),
            *_files(files, answers, host.name),
            *open_mounts,
            *here,
            *([folder] if isinstance(folder, Check) else _folder(folder, answers)),
        )
    )


def _results_folder(
    bundle: StoredBundle, environ: Mapping[str, str], *, remote: bool
) -> str | Check:
    """The folder of the results; what is wrong with it when the environment does not tell it."""
    try:
        return output_folder(bundle, environ, remote=remote)
    except UsageError as error:
        return Check(Verdict.WRONG, str(error), error.hint)
    except MissingSecrets as error:
        what = f"output_dir can't be told: {error.names[0]} is not set"
        return Check(Verdict.WRONG, what, f"export {error.names[0]}=...")


def _ask(host: Host, script: str, arguments: Sequence[str]) -> Mapping[str, Ran]:
    """What the commands of doctor.sh and of this script did, by their names.

    Raises :class:`~evalc.backends.running.Unreachable`.
    """
    common = read_template("runner/doctor.sh")
    whole = f"{common}\n{script}\nevalc_told end true\n"
    ran = host.bash(whole, *arguments, timeout=_PATIENCE)
    answers: dict[str, Ran] = {}
    for block in ran.out.split("\n\n"):
        title, _, text = block.lstrip("\n").partition("\n")
        name, _, code = title.rpartition(" ")
        if name and code.isdecimal():
            said = "\n".join(line.removeprefix("\t") for line in text.split("\n"))
            answers[name] = Ran(int(code), said)
    if "end" not in answers:
        lines = ran.err.strip().splitlines()
        why = lines[-1] if lines else f"bash ended with {ran.code}"
        raise Unreachable(host.name, why)
    return answers


def _edits(bundle: StoredBundle) -> Iterator[Check]:
    if bundle.edited:
        what = f"edited since it was compiled: {', '.join(bundle.edited)}"
        yield Check(Verdict.UNSURE, what, "'evalc submit --allow-edited' takes it all the same")


def _secrets(bundle: StoredBundle, environ: Mapping[str, str]) -> Iterator[Check]:
    for name, required in bundle.secrets.items():
        if environ.get(name):
            yield Check(Verdict.OK, f"secret {name} is set")
        elif name in environ:
            yield Check(Verdict.UNSURE, f"secret {name} is set, and empty")
        elif required:
            yield Check(Verdict.WRONG, f"secret {name} is not set", f"export {name}=...")
        else:
            yield Check(Verdict.OK, f"secret {name} is not set, and has a default")


def _mounts(
    bundle: StoredBundle, environ: Mapping[str, str]
) -> tuple[Sequence[tuple[str, str]], Sequence[Check]]:
    """The absolute paths that are mounted, and what can't be told of the others; ``environ`` are
    the variables of the host, as far as they are known."""
    plan = json.loads((bundle.path / PLAN).read_bytes())
    steps = [step for job in plan["jobs"] for step in job["steps"]]
    mounts = [mount for part in (*plan["services"], *steps) for mount in part["mounts"]]
    mounts += [step["dataset"] for step in steps if step.get("dataset")]
    files: dict[tuple[str, str], None] = {}
    unknown: dict[Check, None] = {}
    for mount in mounts:
        try:
            source = text_of(mount["source"], environ) or ""
        except MissingSecrets as error:
            what = f"the source of the mount {mount['target']} is known only when it runs"
            unknown[Check(Verdict.UNSURE, what, f"it depends on {error.names[0]}")] = None
            continue
        if source.startswith("/"):
            files["mount", source] = None
        else:
            what = f"mount {source} counts from the folder of the run, which is not there yet"
            unknown[Check(Verdict.UNSURE, what, "an absolute path could be looked for")] = None
    return list(files), list(unknown)


def _files(
    files: Sequence[tuple[str, str]], answers: Mapping[str, Ran], host: str
) -> Iterator[Check]:
    for number, (what, path) in enumerate(files):
        if answers[f"file {number}"].code == 0:
            yield Check(Verdict.OK, f"{what} {path} is there")
        else:
            todo = f"put it there, or correct the {what} in the config"
            yield Check(Verdict.WRONG, f"{what} {path} is not on {host}", todo)


def _folder(folder: str, answers: Mapping[str, Ran]) -> Iterator[Check]:
    """The folder of the results, and the disk that it is on."""
    there, write, free = answers["there"].out, answers["write"], answers["free"]
    at = "" if there == folder.rstrip("/") else f" (so far there is {there})"
    if write.code == 0:
        yield Check(Verdict.OK, f"output_dir {folder} can be written{at}")
    else:
        why = write.out.strip().rpartition(": ")[2] or f"exit code {write.code}"
        what = f"output_dir {folder} can't be written{at}: {why}"
        yield Check(Verdict.WRONG, what, "set execution.output_dir to a folder of yours")
    found = _FREE.search(free.out)
    if free.code != 0 or not found:
        yield Check(Verdict.UNSURE, f"free space in {there} can't be told", free.out.strip())
        return
    left = int(found[1]) * 1024
    if left < _LEAST_FREE:
        what = f"only {left / 10**9:.2f} GB are free in {there}"
        yield Check(Verdict.WRONG, what, "make room, or set another execution.output_dir")
    else:
        yield Check(Verdict.OK, f"{left / 10**9:.0f} GB are free in {there}")


def _database() -> Check:
    try:
        path = default_path()
        if not path.exists():
            return _future_database(path)
        with Database.open(path):
            return Check(Verdict.OK, f"database {path} can be opened")
    except EvalcError as error:
        return Check(Verdict.WRONG, str(error), getattr(error, "hint", ""))


def _future_database(path: Path) -> Check:
    """Of a database that the first run will make."""
    there = next(folder for folder in path.parents if folder.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(Verdict.OK, f"database {path} is made at the first use")
    what = f"database {path} can't be made: {there} can't be written"
    return Check(Verdict.WRONG, what, "set EVALC_HOME to a folder of yours")


def _program(name: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(Verdict.ABSENT, f"{name} is not here")
    return Check(Verdict.OK, f"{name} is here: {path}")
