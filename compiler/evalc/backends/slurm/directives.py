"""The ``#SBATCH`` lines of a script (``man sbatch``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.slurm.options import Options, gpu_flags
from evalc.emit.quoting import sbatch_value

if TYPE_CHECKING:
    from evalc.plan import Job, Plan


# Of the job that exports results: a few files, or a few requests.
EXPORT_WALLTIME = "00:30:00"


def directives(plan: Plan, job: Job, options: Options) -> list[str]:
    """The options of a job's script, in the order in which people look for them."""
    return _texts(plan, job, options, name=job_name(options, plan, job.id), log="slurm-%j.log")


def array_directives(plan: Plan, options: Options) -> list[str]:
    """Those of the script that runs all tasks as one array."""
    count = len(plan.jobs)
    limit = f"%{options.array_limit}" if options.array_limit else ""
    array = ("array", f"0-{count - 1}{limit}")
    return _texts(
        plan,
        plan.jobs[0],
        options,
        array,
        name=job_name(options, plan, plan.name),
        log="slurm-%A_%a.log",
    )


def export_directives(plan: Plan, options: Options) -> list[str]:
    """Those of the job that exports results: one CPU for a few minutes. The user's other flags are
    of jobs that evaluate, and may ask for whole nodes."""
    flags = [
        ("job-name", job_name(options, plan, "export")),
        ("account", options.account),
        ("partition", options.cpu_partition or options.partition),
        ("qos", options.qos),
        ("nodes", "1"),
        ("ntasks", "1"),
        ("time", EXPORT_WALLTIME),
        ("comment", options.comment),
        ("output", "export-%j.log"),
    ]
    asked = [f"--{flag}={sbatch_value(value)}" for flag, value in flags if value is not None]
    return [*asked, "--open-mode=append", "--no-requeue"]


def _texts(
    plan: Plan, job: Job, options: Options, *more: tuple[str, str], name: str, log: str
) -> list[str]:
    signal = _signal_before(plan, job, options)
    flags: list[tuple[str, str | None]] = [
        ("job-name", name),
        ("account", options.account),
        ("partition", options.partition),
        ("qos", options.qos),
        ("nodes", str(job.resources.nodes)),
        ("ntasks-per-node", _number(options.ntasks_per_node)),
        *gpu_flags(plan, options),
        ("cpus-per-task", _number(options.cpus_per_task)),
        ("mem", options.memory),
        ("time", options.walltime),
        ("comment", options.comment),
        *more,
        ("output", log),
        ("signal", f"B:USR1@{signal}" if signal else None),
    ]
    asked = [f"--{flag}={sbatch_value(value)}" for flag, value in flags if value is not None]
    asked += [
        f"--{flag}" if value is None else f"--{flag}={sbatch_value(value)}"
        for flag, value in options.extra_flags
    ]
    # Who goes on after a preemption or a lost node is the chain's business. A log that is opened
    # anew must not lose what a job said before Slurm ran it again.
    return [*asked, "--open-mode=append", "--no-requeue"]


def job_name(options: Options, plan: Plan, job: str) -> str:
    """``ACCOUNT-SUBPROJECT.TASK`` where a site accounts by names, else with the config's name."""
    if options.account and options.subproject:
        return f"{options.account}-{options.subproject}.{job}"
    return f"evalc.{job}" if job == plan.name else f"evalc.{plan.name}.{job}"


def _signal_before(plan: Plan, job: Job, options: Options) -> int:
    """In seconds. A job that is short is told later than usual, unless the user says when."""
    walltime = job.resources.walltime
    if walltime is None or plan.origin.written("execution", "resume", "signal_before"):
        return options.signal_before
    return min(options.signal_before, walltime // 4)


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
