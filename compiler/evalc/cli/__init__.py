"""The ``evalc`` command.

Start-up is most of what a short command costs, so this module imports click alone. The commands
are found through a table of names, and each imports what it uses when it is called.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from evalc import __version__
from evalc.cli.lazy import LazyGroup
from evalc.cli.output import discard_lost_output, tolerate_any_text

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "evalc"
COMPLETION_VARIABLE = "_EVALC_COMPLETE"

# As a shell reports a program that SIGINT or SIGPIPE ended.
INTERRUPTED = 128 + 2
PIPE_CLOSED = 128 + 13

COMMANDS = {
    "init": ("evalc.cli.init:init_command", "Write a commented config to start from."),
    "compile": ("evalc.cli.compile:compile_command", "Compile configs to bundles of scripts."),
    "check": ("evalc.cli.check:check_command", "Say everything that is wrong with configs."),
    "diff": ("evalc.cli.diff:diff_command", "Tell what differs between two bundles or configs."),
    "migrate": ("evalc.cli.migrate:migrate_command", "Print a config in the current form."),
    "explain": ("evalc.cli.explain:explain_command", "Tell where a value comes from."),
    "run": ("evalc.cli.runs.submit:run_command", "Compile configs and submit the bundles."),
    "submit": ("evalc.cli.runs.submit:submit_command", "Submit compiled bundles."),
    "status": (
        "evalc.cli.runs.status:status_command",
        "Tell what has become of runs: a line for each job.",
    ),
    "logs": ("evalc.cli.runs.logs:logs_command", "Show the logs of runs, or of single jobs."),
    "kill": (
        "evalc.cli.runs.kill:kill_command",
        "Stop runs, or single jobs of them, for good.",
    ),
    "resume": (
        "evalc.cli.runs.submit:resume_command",
        "Start again what has stopped without being finished.",
    ),
    "fetch": ("evalc.cli.runs.fetch:fetch_command", "Bring results and logs here."),
    "report": (
        "evalc.cli.results.report:report_command",
        "Show the results of runs side by side.",
    ),
    "compare": (
        "evalc.cli.results.compare:compare_command",
        "Tell how the scores of two runs differ.",
    ),
    "gate": (
        "evalc.cli.results.compare:gate_command",
        "Fail when a score has really fallen from run A to run B.",
    ),
    "export": ("evalc.cli.results.export:export_command", "Send results elsewhere."),
    "info": ("evalc.cli.runs.info:info_command", "Tell all that is recorded of a run."),
    "doctor": (
        "evalc.cli.runs.doctor:doctor_command",
        "Say whether all is there that a run needs.",
    ),
    "images": (
        "evalc.cli.images:images_command",
        "List the images of bundles, and how to mirror them.",
    ),
    "pack": (
        "evalc.cli.pack:pack_command",
        "Pack bundles into one file for a machine without a network.",
    ),
    "import-results": (
        "evalc.cli.runs.importing:import_command",
        "Record runs that were started by hand, without evalc.",
    ),
    "ls": ("evalc.cli.ls:ls_group", "List the runs, tasks and backends that there are."),
    "schema": ("evalc.cli.schema:schema_command", "Print a JSON Schema (draft-07)."),
    "completion": ("evalc.cli.completion:completion_command", "Print a shell's completion script."),
}

EPILOG = """
\b
Examples:
  evalc check cluster.yaml
  evalc compile cluster.yaml -o deployment.port=8080 -t gsm8k
  evalc explain cluster.yaml execution.output_dir
  evalc run cluster.yaml --wait
  evalc status --watch
  evalc report k3f m2q --baseline k3f
  eval "$(evalc completion bash)"

\b
Exit codes:
  0  fine
  1  the config is wrong, what is there already is in the way, or a job failed
  2  wrong usage: the command line is wrong, or what it names is not there
  3  evalc itself failed
  4  a job is not over yet, or a host can't be reached

\b
Environment:
  EVALC_HOME=DIR  where evalc remembers runs, by default ~/.local/state/evalc
  NO_COLOR=1     no colour on a terminal
  EVALC_DEBUG=1  the traceback of a failure of evalc's own
"""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def root() -> None:
    """Compile the launch of an LLM evaluation: YAML in, reviewable scripts out."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line ``args`` (by default the process's) and return the exit code.

    Nothing is raised: every failure becomes a line on standard error.
    """
    tolerate_any_text()
    if args is None:
        # The process ends before its garbage is worth collecting: a fifth of compiling's time.
        gc.disable()
    try:
        try:
            return _run(sys.argv[1:] if args is None else list(args))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes one line
            from evalc.cli.failures import report_failure

            return report_failure(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        discard_lost_output()
        return PIPE_CLOSED
    except OSError:
        # Standard error is gone too: nobody is left to tell.
        discard_lost_output()
        return 3


def _run(args: list[str]) -> int:
    completion = os.environ.get(COMPLETION_VARIABLE)
    if completion:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, PROGRAM, COMPLETION_VARIABLE, completion)
    # Not `root.main()`: it decides for itself what exceptions and closed pipes mean.
    try:
        with root.make_context(PROGRAM, args) as context:
            code = root.invoke(context)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    return code if isinstance(code, int) else 0
