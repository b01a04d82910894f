"""What is said, and which exit code is given, when a command fails."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from evalc.cli.output import discard_lost_output, note, page_of
from evalc.cli.report.as_text import render_all
from evalc.errors import ConfigError, EvalcError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

USAGE = 2
INTERNAL = 3


def report_failure(error: Exception) -> int:
    """Say on standard error what ``error`` means to the user; return the exit code."""
    if isinstance(error, ConfigError):
        report_problems(error.problems)
        return error.exit_code
    if isinstance(error, EvalcError):
        code = report_error(error, getattr(error, "hint", ""))
        if code == INTERNAL:
            _show_traceback(error)
        return code
    if isinstance(error, click.ClickException):
        _say(_click_message(error), _click_hint(error))
        return USAGE
    if isinstance(error, OSError) and error.strerror:
        return _report_refusal(error)
    _say(
        f"evalc itself failed: {type(error).__name__}: {_one_line(error)} "
        "(this is a bug; EVALC_DEBUG=1 shows the traceback)"
    )
    _show_traceback(error)
    return INTERNAL


def _show_traceback(error: Exception) -> None:
    if os.environ.get("EVALC_DEBUG"):
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())


def report_error(error: EvalcError, hint: str) -> int:
    """Say ``error`` and ``hint`` on standard error; return the exit code."""
    _say(str(error), hint)
    return error.exit_code


def report_problems(problems: Iterable[Problem]) -> None:
    """Show ``problems`` on standard error."""
    text = render_all(problems, page_of(sys.stderr))
    if text:
        # What comes next may be another config's.
        note(f"{text}\n")


def _report_refusal(error: OSError) -> int:
    """The system refused something: no fault of the config, nor a bug."""
    if error.filename is None:
        # Files are named in their errors; what is left is a stream, as in `evalc … > /dev/full`.
        discard_lost_output()
        _say(f"the output can't be written: {error.strerror}")
    else:
        _say(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return USAGE


def _say(message: str, hint: str = "") -> None:
    page = page_of(sys.stderr)
    error = click.style("error", fg="red", bold=True) if page.colour else "error"
    lines = [f"{error}: {message}"]
    if hint:
        lines.append(f"{click.style('hint', bold=True) if page.colour else 'hint'}: {hint}")
    note("\n".join(lines))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no message"


def _click_message(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        # Click's own text appends its suggestions, which are the hint here.
        return f"no such option '{error.option_name}'"
    text = error.format_message().strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _click_hint(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        return did_you_mean(error.option_name, error.possibilities)
    context = getattr(error, "ctx", None)
    return f"see '{context.command_path} --help'" if context else ""
