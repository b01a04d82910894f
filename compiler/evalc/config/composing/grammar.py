"""The full grammar of interpolations, read by OmegaConf's own parser.

Importing this module imports OmegaConf, which is slow: only
:mod:`evalc.config.composing.template` does, and only for a text that needs it.
"""

from __future__ import annotations

import warnings
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from antlr4 import TerminalNode  # type: ignore[import-untyped]
from omegaconf.errors import GrammarParseError
from omegaconf.grammar.gen.OmegaConfGrammarLexer import OmegaConfGrammarLexer as Lexer
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser as Parser
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor

from evalc.config.composing.expressions import (
    BadTemplateError,
    Call,
    Expression,
    Joined,
    Reference,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# What ANTLR makes has no types.
_Tree: TypeAlias = Any


def parse_value(text: str) -> Expression:
    """The expression that a config value is.

    Raises :class:`~evalc.config.composing.expressions.BadTemplateError`.
    """
    return _parse(text, "configValue", "DEFAULT_MODE")


def parse_element(text: str) -> Expression:
    """The expression that the argument of a resolver is; also what ``oc.decode`` reads.

    Raises :class:`~evalc.config.composing.expressions.BadTemplateError`.
    """
    return _parse(text, "singleElement", "VALUE_MODE")


def _parse(text: str, rule: str, mode: str) -> Expression:
    try:
        tree = parse(text, parser_rule=rule, lexer_mode=mode)
        with warnings.catch_warnings():
            # OmegaConf warns of an empty argument, as in ${oc.env:NAME,}.
            warnings.simplefilter("ignore")
            expression: Expression = _Visitor().visit(tree)
    except (GrammarParseError, RecursionError) as error:
        raise BadTemplateError(str(error)) from None
    return expression


# Its methods give other things here than they are declared to give.
_Base: Any = GrammarVisitor


class _Visitor(_Base):  # type: ignore[misc]
    """Makes expressions of what OmegaConf's visitor would look up on the spot."""

    def __init__(self) -> None:
        super().__init__(_never, _never, None)

    def visitInterpolationNode(self, ctx: _Tree) -> Reference:  # noqa: N802 - ANTLR's names
        steps = list(ctx.getChildren())[1:-1]
        return Reference(_merged(self._text_or_expression(step) for step in steps), ctx.getText())

    def visitConfigKey(self, ctx: _Tree) -> _Tree | Expression:  # noqa: N802
        return self._text_or_expression(ctx.getChild(0))

    def visitInterpolationResolver(self, ctx: _Tree) -> Call:  # noqa: N802
        arguments = ctx.getChild(3)
        values: tuple[Expression, ...] = ()
        if isinstance(arguments, Parser.SequenceContext):
            values = tuple(value for value, _ in self.visitSequence(arguments))
        return Call(self.visit(ctx.getChild(1)), values, ctx.getText())

    def visitResolverName(self, ctx: _Tree) -> tuple[Expression, ...]:  # noqa: N802
        return _merged(self._text_or_expression(child) for child in ctx.getChildren())

    def visitQuotedValue(self, ctx: _Tree) -> Expression:  # noqa: N802
        if ctx.getChildCount() == 2:
            return ""
        value: Expression = self.visit(ctx.getChild(1))
        return value if isinstance(value, str | Joined) else Joined((value,))

    def _text_or_expression(self, child: _Tree) -> _Tree:
        return child.symbol.text if isinstance(child, TerminalNode) else self.visit(child)

    def _unescape(self, seq: list[Any]) -> Expression:
        parts = _merged(
            _unescaped(node.symbol, following)
            if isinstance(node, TerminalNode)
            else self.visit(node)
            for node, following in zip_longest(seq, seq[1:])
        )
        return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else Joined(parts)


def _merged(parts: Iterable[Expression]) -> tuple[Expression, ...]:
    """The parts, with neighbouring texts made one."""
    merged: list[Expression] = []
    for part in parts:
        before = merged[-1] if merged else None
        if isinstance(part, str) and isinstance(before, str):
            merged[-1] = before + part
        else:
            merged.append(part)
    return tuple(merged)


def _unescaped(token: _Tree, following: _Tree) -> str:
    """The text that a token stands for: backslashes count in front of what they could escape."""
    text: str = token.text
    before_expression = following is not None and not isinstance(following, TerminalNode)
    if token.type == Lexer.ESC_INTER:
        return text[-(len(text) // 2 + 1) :]
    if (
        token.type == Lexer.ESC
        or (token.type == Lexer.TOP_ESC and before_expression)
        or (token.type == Lexer.QUOTED_ESC and (before_expression or following is None))
    ):
        return text[1::2]
    return text


def _never() -> None:
    raise AssertionError("evalc's visitor looks nothing up")
