"""Whether a bundle for Slurm would find what it needs on a cluster.

What its jobs ask for is read from the ``#SBATCH`` lines of its scripts, since those are what Slurm
will read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evalc.backends.running import Check, Inquiry, Verdict
from evalc.errors import did_you_mean
from evalc.plan.walltime import format_walltime, parse_walltime
from evalc.resources import read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.backends.running import Ran

    Asked = Mapping[str, str]

_DIRECTIVE = re.compile(r"#SBATCH --([a-z-]+)(?:=(.*))?")
# gpu:8, gpu:a100:8 or, of a job, gpu.
_GPUS = re.compile(r"gpu(?::(?P<kind>[^:]*[^:\d][^:]*))?(?::(?P<count>\d+))?")
# What AccountingStorageEnforce may say beside what makes Slurm insist on accounts.
_LAX = frozenset(("none", "nojobs", "nosteps"))
# File systems, as stat calls them, that are on a disk or in the memory of one machine.
_OF_ONE_MACHINE = frozenset(
    ("btrfs", "ext2/ext3", "f2fs", "jfs", "overlayfs", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs")
)
# What every job needs where it is submitted; the other programs are for the nodes.
_ESSENTIAL = frozenset(("sbatch", "srun"))


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its fields as ``scontrol`` names them, and of each sort of its nodes how many
    GPUs of which kind one has; the kind is empty where Slurm tells none."""

    fields: Mapping[str, str]
    gpus: tuple[Mapping[str, int], ...] = ()

    @property
    def name(self) -> str:
        """What ``--partition`` takes."""
        return self.fields["PartitionName"]

    @property
    def most_nodes(self) -> int | None:
        """How many nodes a job may have; None when Slurm does not tell."""
        told = [self.fields.get(key, "") for key in ("MaxNodes", "TotalNodes")]
        return min((int(text) for text in told if text.isdecimal()), default=None)

    def most_gpus(self, kind: str) -> int:
        """The most GPUs of this kind, or, of an empty one, of any, that a node has."""
        return max(
            (node.get(kind, 0) if kind else sum(node.values()) for node in self.gpus), default=0
        )

    def allows(self, what: str, name: str) -> bool:
        """Whether ``name`` is let in by the list ``AllowAccounts`` or ``AllowQos``."""
        listed = self.fields.get(what, "ALL")
        return listed == "ALL" or name.casefold() in listed.casefold().split(",")


def inquiry(bundle: Path, needs: Needs) -> Inquiry:
    """The cluster's programs and partitions, and this user's accounts."""
    scripts = [read_template(f"runner/{name}.sh") for name in ("slurm_path", "slurm_doctor")]
    images = () if needs.engine == "none" else needs.images
    return Inquiry(
        "\n".join(scripts),
        tuple(needs.tools),
        partial(_judge, needs, images, asked_by(bundle)),
        tuple(("image", image) for image in images if image.startswith("/") and "$" not in image),
    )


def asked_by(bundle: Path) -> Sequence[Asked]:
    """What the bundle's scripts ask Slurm for, each different set of options once."""
    found: list[dict[str, str]] = []
    for script in sorted((*bundle.glob("sbatch_*.sh"), *bundle.glob("*/sbatch_*.sh"))):
        options = {}
        for line in script.read_text(encoding="utf-8", errors="replace").splitlines():
            directive = _DIRECTIVE.fullmatch(line)
            # They differ for each job, and nothing here depends on them.
            if directive and directive[1] not in {"job-name", "output", "array"}:
                options[directive[1]] = _unquoted(directive[2] or "")
        if options not in found:
            found.append(options)
    return found


def _judge(
    needs: Needs, images: Sequence[str], asked: Sequence[Asked], answers: Mapping[str, Ran]
) -> Sequence[Check]:
    checks = [*_tools(needs.tools, answers)]
    if "login" in answers:
        todo = "evalc reads the profile there each time; 'sbatch' in the PATH of ssh is faster"
        checks.append(Check(Verdict.OK, f"Slurm is found by a login shell's profile: {todo}"))
    if "partitions" in answers:
        for options in asked:
            # Scripts that differ in one thing are told of the others once.
            checks += [check for check in judge(options, answers) if check not in checks]
    checks += _folder(answers)
    for image in images:
        if "$" in image or image.startswith("./"):
            checks.append(Check(Verdict.UNSURE, f"image {image} is known only when it runs"))
        elif not image.startswith("/"):
            what = f"image {image} is not looked for on the nodes"
            checks.append(Check(Verdict.UNSURE, what, "where it is missing, the job pulls it"))
    return checks


def _folder(answers: Mapping[str, Ran]) -> Iterator[Check]:
    """Whether the nodes may not have the folder of the results. Only they could tell for sure."""
    kind = answers["kind"]
    if kind.code == 0 and (name := kind.out.strip()) in _OF_ONE_MACHINE:
        what = f"{answers['there'].out} is on a disk of the machine that submits ({name})"
        todo = "unless the nodes get it from there, set execution.output_dir to one they share"
        yield Check(Verdict.UNSURE, what, todo)


def _tools(tools: Iterable[str], answers: Mapping[str, Ran]) -> Iterator[Check]:
    for tool in tools:
        if answers[f"tool {tool}"].code == 0:
            yield Check(Verdict.OK, f"{tool} is there")
        elif tool in _ESSENTIAL:
            todo = "is this the login node? a 'module load' may be missing in ~/.bash_profile there"
            yield Check(Verdict.WRONG, f"{tool} is not there", todo)
        else:
            what = f"{tool} is not on the machine that submits"
            yield Check(Verdict.UNSURE, what, "the nodes must have it, or execution.setup load it")


def judge(asked: Asked, answers: Mapping[str, Ran]) -> Iterator[Check]:
    """What Slurm's answers mean for a job with these options."""
    shown = answers["partitions"]
    if shown.code != 0:
        todo = "try 'sinfo' there; jobs can be submitted when it answers"
        yield Check(Verdict.WRONG, f"Slurm does not answer: {_last_words(shown)}", todo)
        return
    partitions = read_partitions(shown.out, answers["gpus"].out)
    wanted = asked.get("partition", "")
    if wanted:
        chosen = [one for one in partitions if one.name in wanted.split(",")]
        yield from _partitions(wanted.split(","), partitions)
    else:
        chosen = [one for one in partitions if one.fields.get("Default") == "YES"]
        names = ", ".join(one.name for one in partitions)
        if chosen:
            what = f"partition '{chosen[0].name}' is the default, and none is asked for"
            yield Check(Verdict.OK, what)
        else:
            what = "no partition is asked for, and Slurm here has no default"
            yield Check(Verdict.WRONG, what, f"set execution.partition; there are {names}")
    if chosen:
        yield from _walltime(asked, chosen)
        yield from _size(asked, chosen)
        yield from _gpus(asked, chosen)
    yield from _accounts(asked, chosen, answers)


def read_partitions(shown: str, nodes: str) -> Sequence[Partition]:
    """What ``scontrol show partition`` and ``sinfo`` tell of them."""
    gpus: dict[str, list[Mapping[str, int]]] = {}
    for line in nodes.splitlines():
        name, _, told = line.partition("|")
        counts: dict[str, int] = {}
        for kind, count in _counts(told.rpartition("|")[0]):
            counts[kind] = counts.get(kind, 0) + count
        if counts:
            gpus.setdefault(name, []).append(counts)
    found = []
    for line in shown.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "PartitionName" in fields:
            found.append(Partition(fields, tuple(gpus.get(fields["PartitionName"], ()))))
    return found


def _partitions(wanted: Iterable[str], partitions: Sequence[Partition]) -> Iterator[Check]:
    by_name = {one.name: one for one in partitions}
    for name in wanted:
        if name not in by_name:
            yield _absent("partition", name, by_name)
        elif (state := by_name[name].fields.get("State", "UP")) != "UP":
            todo = "jobs may wait for long; ask its administrators"
            yield Check(Verdict.UNSURE, f"partition '{name}' is {state}", todo)
        else:
            yield Check(Verdict.OK, f"partition '{name}' is there")


def _walltime(asked: Asked, chosen: Sequence[Partition]) -> Iterator[Check]:
    text = asked.get("time", "")
    limits = [_seconds(one.fields.get("MaxTime", "")) for one in chosen]
    if not text or None in limits:
        return
    most = max(limit for limit in limits if limit is not None)
    seconds = _seconds(text)
    if seconds is None or seconds > most:
        what = f"walltime {text} is longer than {_names(chosen)} allows"
        yield Check(Verdict.WRONG, what, f"set execution.walltime to {format_walltime(most)}")
    else:
        yield Check(Verdict.OK, f"walltime {text} is allowed in {_names(chosen)}")


def _size(asked: Asked, chosen: Sequence[Partition]) -> Iterator[Check]:
    nodes = asked.get("nodes", "")
    limits = [one.most_nodes for one in chosen]
    if not nodes.isdecimal() or None in limits:
        return
    most = max(limit for limit in limits if limit is not None)
    if int(nodes) > most:
        what = f"{nodes} nodes are asked for; a job gets {most} at most in {_names(chosen)}"
        yield Check(Verdict.WRONG, what, "lower execution.nodes")


def _gpus(asked: Asked, chosen: Sequence[Partition]) -> Iterator[Check]:
    per_node = asked.get("gpus-per-node", "")
    gres = ",".join(f"gpu:{part}" for part in per_node.split(",") if part)
    for kind, count in _counts(gres or asked.get("gres", "")):
        what = f"{count} {kind} GPUs a node" if kind else f"{count} GPUs a node"
        if max(one.most_gpus(kind) for one in chosen) >= count:
            yield Check(Verdict.OK, f"{what} are there in {_names(chosen)}")
            continue
        there = {
            f"{most} {name}".rstrip()
            for one in chosen
            for node in one.gpus
            for name, most in node.items()
        }
        todo = f"nodes there have {' or '.join(sorted(there))}" if there else "its nodes have none"
        yield Check(Verdict.WRONG, f"{what} are asked for, and not there in {_names(chosen)}", todo)


def _accounts(
    asked: Asked, chosen: Sequence[Partition], answers: Mapping[str, Ran]
) -> Iterator[Check]:
    rules = _enforced(answers["config"].out)
    told = answers["accounts"]
    rows = [line.split("|") for line in told.out.splitlines() if line.count("|") == 2]
    accounts = {row[0] for row in rows}
    account, qos = asked.get("account", ""), asked.get("qos", "")
    if account:
        yield _one_of("account", account, accounts, told, insists="associations" in rules)
    elif "associations" in rules and told.code == 0 and not accounts:
        what = "Slurm knows no account of yours"
        yield Check(Verdict.WRONG, what, "ask the cluster's administrators for one")
    if qos and "qos" in rules:
        of_account = [row for row in rows if not account or row[0] == account.casefold()]
        mine = {name for row in of_account for name in row[2].split(",") if name}
        yield _one_of("qos", qos, mine, told, insists=True)
    elif qos:
        known = {line for line in answers["qos"].out.splitlines() if line}
        yield _one_of("qos", qos, known, answers["qos"], insists=False)
    for what, name in (("AllowAccounts", account), ("AllowQos", qos)):
        shut = [one for one in chosen if name and not one.allows(what, name)]
        if shut and len(shut) == len(chosen):
            todo = f"it takes {shut[0].fields[what].replace(',', ', ')}"
            yield Check(Verdict.WRONG, f"partition '{shut[0].name}' does not take '{name}'", todo)


def _one_of(what: str, name: str, known: Iterable[str], told: Ran, *, insists: bool) -> Check:
    """Whether Slurm's accounting has an account or a qos, whose names have no case."""
    if told.code != 0:
        why = f"the accounting does not answer: {_last_words(told)}"
        return Check(Verdict.UNSURE, f"{what} '{name}' can't be checked", why)
    if name.casefold() in {one.casefold() for one in known}:
        return Check(Verdict.OK, f"{what} '{name}' is there")
    absent = _absent(what, name, known)
    if insists:
        return absent
    return Check(Verdict.UNSURE, absent.what, f"{absent.todo}; Slurm here takes any".lstrip("; "))


def _absent(what: str, name: str, known: Iterable[str]) -> Check:
    names = sorted(known)
    there = f"there are {', '.join(names)}" if names else "there is none"
    todo = " ".join(part for part in (did_you_mean(name, names), there) if part)
    return Check(Verdict.WRONG, f"{what} '{name}' is not there", todo)


def _enforced(config: str) -> frozenset[str]:
    """What Slurm insists on, in its own words."""
    found = re.search(r"^AccountingStorageEnforce\s*= (\S+)", config, re.MULTILINE)
    rules = frozenset(found[1].casefold().split(",") if found else ())
    # man slurm.conf: each of the others sets this one.
    return rules | {"associations"} if rules - _LAX else frozenset()


def _counts(gres: str) -> Sequence[tuple[str, int]]:
    """The kinds and numbers of GPUs in Slurm's list of a node's, or a job's, resources."""
    found: list[tuple[str, int]] = []
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        gpu = _GPUS.fullmatch(part)
        if gpu and gpu["count"] != "0":
            found.append((gpu["kind"] or "", int(gpu["count"] or 1)))
    return found


def _names(partitions: Iterable[Partition]) -> str:
    return " or ".join(f"'{one.name}'" for one in partitions)


def _seconds(limit: str) -> int | None:
    """None for no limit, or for what is none."""
    try:
        return parse_walltime(limit)
    except ValueError:
        return None


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def _last_words(ran: Ran) -> str:
    lines = [line for line in ran.out.splitlines() if line.strip()]
    if ran.code == 124 or not lines:
        return "no answer in 20 s"
    return re.sub(r"^\w+: error: ", "", lines[-1])
