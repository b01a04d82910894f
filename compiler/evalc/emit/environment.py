"""The Jinja environments: quoted by default, strict about everything.

In a shell template each ``{{ value }}`` is one literal shell word. It works through autoescaping
with a ``finalize`` of our own: text and numbers are quoted, words are rendered part by part, and
what has no single meaning in a shell (None, booleans, lists) is an error of the template. Raw text
needs the filter ``raw_shell``, which is easy to grep for. Jinja's HTML filters are removed, since
on autoescaped text they would escape for HTML.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from evalc.emit import quoting
from evalc.resources import template_dir

if TYPE_CHECKING:
    from collections.abc import Callable

_HTML_FILTERS = ("e", "escape", "forceescape", "safe", "striptags", "tojson", "urlize", "xmlattr")


def shell_environment() -> jinja2.Environment:
    """For shell scripts: every value is one shell word."""
    return _environment(_shell_finalize)


def markdown_environment() -> jinja2.Environment:
    """For the bundle's README: every value is inline code."""
    return _environment(_markdown_finalize)


@lru_cache(maxsize=2)
def _environment(finalize: Callable[[Any, Any], Any]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_dir()),
        autoescape=True,
        finalize=jinja2.pass_eval_context(finalize),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    for name in _HTML_FILTERS:
        del environment.filters[name]
    environment.filters["words"] = lambda texts: Markup(" ".join(map(quoting.shell_word, texts)))
    environment.filters["here_document"] = lambda text: Markup(quoting.here_document(text))
    environment.filters["comment"] = lambda text: Markup(quoting.comment(text))
    # For text that is already shell, made by evalc and never by a config.
    environment.filters["raw_shell"] = Markup
    return environment


def _shell_finalize(_context: object, value: object) -> object:
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if isinstance(value, str):
        return Markup(quoting.shell_word(value))
    if isinstance(value, tuple):
        return Markup(quoting.shell(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Markup(value)
    raise TypeError(f"a template prints a {type(value).__name__}, which is no shell word")


def _markdown_finalize(_context: object, value: object) -> object:
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if isinstance(value, str):
        return Markup(quoting.code_span(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Markup(value)
    raise TypeError(f"a template prints a {type(value).__name__}, which is no Markdown")
