"""References: run-time values, commands, limits, and the two parsers of one grammar."""

from __future__ import annotations

import random
import shlex
import string
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalc.config.composing import grammar, template
from evalc.config.composing.compose import Composed, Composing
from evalc.config.composing.keys import split_key
from evalc.errors import ConfigError, Problem, Source
from evalc.source.nodes import walk
from evalc.words import Literal, RuntimeEnv

if TYPE_CHECKING:
    from evalc.source import Node


def is_command(path: tuple[str | int, ...]) -> bool:
    return path[-1:] in {("command",), ("base_command",)} or path[-2:-1] == ("commands",)


def composed(text: str, *overrides: str) -> Composed:
    composing = Composing(
        Source("main.yaml", text),
        config_dirs=[],
        overrides=overrides,
        builtin=Path("/nowhere"),
        command_keys=is_command,
    )
    return composing.filled(composing.merged())


def resolved(text: str, *overrides: str) -> Any:
    found = composed(text, *overrides)
    if found.problems:
        raise ConfigError(found.problems)
    return found.root.plain()


def problems(text: str, *overrides: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        resolved(text, *overrides)
    return caught.value.problems


def line(node: Node | None) -> int:
    assert node is not None
    return node.location.line


def only(text: str, *overrides: str) -> Problem:
    (problem,) = problems(text, *overrides)
    return problem


def place(problem: Problem) -> tuple[int, int, int]:
    at = problem.location
    assert at is not None
    return at.line, at.column, at.end_column


# --- run-time values ------------------------------------------------------------------------------


def test_an_environment_variable_is_a_word() -> None:
    assert resolved("a: ${oc.env:NAME}\n") == {"a": (RuntimeEnv("NAME"),)}


@pytest.mark.parametrize(
    ("expression", "default"),
    [
        ("${oc.env:X,text}", "text"),
        ("${oc.env:X, text}", "text"),
        ("${oc.env:X,8000}", "8000"),
        ("${oc.env:X,1e3}", "1000.0"),
        ("${oc.env:X,true}", "True"),
        ("${oc.env:X,''}", ""),
        ("${oc.env:X,}", ""),
        ("${oc.env:X,http://h:80/v1}", "http://h:80/v1"),
        ("${oc.env:X,'a, b'}", "a, b"),
        ("${oc.env:X,${b}}", "7"),
        ("${oc.env:X,x-${b}}", "x-7"),
        ("${oc.env:X,[1, a]}", "[1, 'a']"),
    ],
)
def test_a_default_is_text(expression: str, default: str) -> None:
    assert resolved(f'a: "{expression}"\nb: 7\n')["a"] == (RuntimeEnv("X", default),)


def test_text_around_a_variable_is_literal() -> None:
    got = resolved("a: /x ${oc.env:N}/${b}/${oc.env:M,m}$y\nb: z\n")["a"]
    assert got == (
        Literal("/x "),
        RuntimeEnv("N"),
        Literal("/z/"),
        RuntimeEnv("M", "m"),
        Literal("$y"),
    )


def test_a_word_is_spliced_where_it_is_referred_to() -> None:
    got = resolved("a: x${oc.env:N}\nb: ${a}\nc: <${b}>${a}\nd: [{e: '${c}'}]\n")
    word = (Literal("x"), RuntimeEnv("N"))
    assert got["b"] == word
    assert got["c"] == (Literal("<x"), RuntimeEnv("N"), Literal(">x"), RuntimeEnv("N"))
    assert got["d"] == [{"e": got["c"]}]


def test_a_dollar_of_the_users_stays_text() -> None:
    assert resolved("a: $HOME\nb: \\${HOME}\nc: x\\${HOME} ${a}\n") == {
        "a": "$HOME",
        "b": "${HOME}",
        "c": "x${HOME} $HOME",
    }


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("a: ${b.${oc.env:N}}\nb: {c: 1}\n", "a part of a key"),
        ("n: ${oc.env:N}\na: ${b.${n}}\nb: {c: 1}\n", "a part of a key"),
        ("a: ${oc.decode:${oc.env:N}}\n", "decoded"),
        ("a: ${oc.env:${oc.env:N}}\n", "the name of an environment variable"),
        ("a: ${oc.env:A,${oc.env:B}}\n", "the default of another"),
        ("a: ${oc.select:${oc.env:N}}\n", "the name of a key"),
        ("a: x ${oc.create:['${oc.env:N}']}\n", "a part of a text"),
    ],
)
def test_a_run_time_value_is_refused_where_it_is_needed_now(text: str, use: str) -> None:
    problem = only(text)
    assert problem.code == "needs-value-now"
    assert problem.message == (
        f"an environment variable can't be {use}: its value is known only at run time"
    )
    assert problem.label == "give the value itself, here or with -o"


def test_an_unset_variable_can_not_become_null() -> None:
    problem = only("a: x\nb: y ${oc.env:N,null}\n")
    assert place(problem) == (2, 6, 22)
    assert problem.label == "use '' for an empty text"


def test_the_name_of_a_variable_is_one() -> None:
    assert only("a: ${oc.env:'my-var'}\n").message == (
        "'my-var' is not the name of an environment variable"
    )


# --- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("8000", "8000"),
        ("-1.5", "-1.5"),
        ("true", "True"),
        ("null", "None"),
        ("''", ""),
        ("/models/a_b-c.d:1,2=3@4%+", "/models/a_b-c.d:1,2=3@4%+"),
    ],
)
def test_a_plain_word_is_inserted_into_a_command(value: str, text: str) -> None:
    assert (
        resolved(f"command: run --x ${{a}} ; ls\na: {value}\n")["command"] == f"run --x {text} ; ls"
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a b", "a space"),
        ("$(id)", "$"),
        ("'`id`'", "`"),
        ("a;b", ";"),
        ('"it\'s"', "a quote"),
        ("'\"'", "a quote"),
        ("a&b", "&"),
        ("a|b", "|"),
        ('"a\\nb"', "a line break"),
        ('"a\\tb"', "a tab"),
        ("a*b", "*"),
        ("~root", "~"),
        ("é", "é"),
        ('"\\u200b"', "'\\u200b'"),
        ("{x: 1}", "{"),
    ],
)
def test_what_the_shell_would_interpret_is_not(value: str, why: str) -> None:
    problem = only(f"command: run --x ${{b.c}}\nb:\n  c: {value}\n")
    assert problem.code == "unsafe-interpolation"
    assert place(problem) == (1, 18, 24)
    assert problem.message == f"b.c can't be inserted into a command: it has {why} in it"
    assert problem.label == "it would be executed as shell code"
    assert problem.help == 'pass the value through env_vars and write "$NAME" in the command'


@pytest.mark.parametrize(
    "text",
    [
        "command: ${a}\na: $(id)\n",
        "command: x ${a}\na: ${b}\nb: $(id)\n",
        "command: x ${a}\na: ${deployment.command} y\ndeployment: {command: $(id)}\n",
        "command: x ${oc.select:a}\na: $(id)\n",
        "command: x ${oc.select:nope,${a}}\na: $(id)\n",
        "command: x ${oc.select:nope,'-${a}'}\na: $(id)\n",
        "command: x ${select_not_null:a,y}\na: $(id)\n",
        "command: x ${oc.decode:${a}}\na: \"'$(id)'\"\n",
        "command: ${oc.decode:${a}}\na: \"'$(id)'\"\n",
        "command: x ${oc.deprecated:a}\na: $(id)\n",
        "command: x ${a}\na: ${oc.select:nope,'$(id)'}\n",
        "command: x ${a}\na: '\\${HOME}'\n",
        "command: x ${a}\na: {b: $(id)}\n",
        'command: "x ${oc.create:{a: b}}"\n',
        "deployment: ${x}\nx: {command: 'x ${y}'}\ny: $(id)\n",
        "deployment: {command: 1}\ncommand: x ${deployment}\nx: $(id)\n",
        "commands: ${x}\nx: [ls, $(id)]\n",
        "commands: ${oc.dict.keys:x}\nx: {$(id): 1}\n",
        "commands: ${oc.dict.values:x}\nx: {a: $(id)}\n",
    ],
)
def test_no_way_round_leads_a_value_into_a_command(text: str) -> None:
    assert {problem.code for problem in problems(text)} == {"unsafe-interpolation"}


def test_what_is_written_in_a_command_is_its_own() -> None:
    got = resolved("command: run ${oc.select:nope,'$(nproc)'} \"$HOME\" \\${HOME}\n")
    assert got["command"] == 'run $(nproc) "$HOME" ${HOME}'


def test_a_command_may_hold_another() -> None:
    text = (
        "d: {base_command: 'a | b ${..n}', command: '${.base_command} && c'}\n"
        "n: 1\ne: {command: '${d.command}'}\n"
    )
    got = resolved(text)
    assert got["d"]["command"] == got["e"]["command"] == "a | b 1 && c"


def test_a_mapping_may_hold_a_command() -> None:
    got = resolved("deployment: ${x}\nx: {command: 'a | b ${.n}', n: 1}\n")
    assert got["deployment"]["command"] == "a | b 1"


def test_a_list_of_commands_may_hold_commands() -> None:
    got = resolved("commands: ${x.commands}\nx: {commands: [a | b, 'c ${n}', d]}\nn: 1\n")
    assert got["commands"] == ["a | b", "c 1", "d"]
    assert resolved("commands: ${x}\nx: [ls, id]\n")["commands"] == ["ls", "id"]


def test_arguments_are_quoted_anew() -> None:
    got = resolved("command: run ${d.extra_args}\nd: {extra_args: '--a \"b c\"  $(id) ; x'}\n")
    assert got["command"] == "run --a 'b c' '$(id)' ';' x"


def test_arguments_that_can_not_be_split() -> None:
    problem = only("command: run ${extra_args}\nextra_args: --a 'b\n")
    assert problem.message == (
        "extra_args can't be inserted into a command: it can't be split (no closing quotation)"
    )


def test_a_list_is_inserted_as_words() -> None:
    got = resolved(
        "command: run ${a} ${oc.dict.keys:b}\na: [x, 'y z', 1, '${b.$c}']\nb: {$c: $d}\n"
    )
    assert got["command"] == "run x 'y z' 1 '$d' '$c'"
    assert only("command: run ${a}\na: [[1]]\n").message == (
        "a[0] can't be inserted into a command: it is no single value"
    )


@pytest.mark.parametrize(
    "text",
    [
        "command: run ${oc.env:TOKEN}\n",
        "command: run ${a}\na: x${oc.env:TOKEN}\n",
        "command: ${a}\na: ${oc.env:TOKEN,y}\n",
        "command: run ${a}\na: ['${oc.env:TOKEN}']\n",
        "command: run ${extra_args}\nextra_args: ${oc.env:TOKEN}\n",
    ],
)
def test_a_command_reads_variables_itself(text: str) -> None:
    problem = only(text)
    assert problem.code == "env-in-command"
    assert problem.label == 'write "$TOKEN"'
    assert problem.help == "with braces, write \\${TOKEN}, so that it is not an interpolation"


def test_a_value_that_is_no_text_may_stand_for_a_command() -> None:
    assert resolved("command: ${a}\na: null\n")["command"] is None
    assert resolved("command: ${a}\na: [x, $(id)]\n")["command"] == ["x", "$(id)"]


SAFE = set(string.ascii_letters + string.digits + "_@%+=:,./-")


@given(
    st.text(st.sampled_from(sorted(SAFE)), max_size=8)
    | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
)
def test_any_value_in_a_command_arrives_whole_or_is_refused(value: str) -> None:
    quoted = "'" + value.replace("'", "''") + "'"
    text = f"a: {{b: {quoted}}}\ncommand: printf '<%s>' - ${{a.b}}\n"
    if "${" in value:
        return
    if set(value) - SAFE:
        assert only(text).code == "unsafe-interpolation"
        return
    command = resolved(text)["command"]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == (f"<-><{value}>" if value else "<->")


@given(st.text(st.sampled_from("ab $`\\\"'();|&<>*~#!{}\n"), max_size=12))
def test_arguments_in_a_command_arrive_as_they_were_split(value: str) -> None:
    if "${" in value:
        return
    quoted = '"' + "".join(f"\\x{ord(c):02x}" for c in value) + '"'
    text = f"extra_args: {quoted}\ncommand: printf '<%s>' - ${{extra_args}}\n"
    try:
        words = ["-", *shlex.split(value)]
    except ValueError:
        assert only(text).code == "unsafe-interpolation"
        return
    command = resolved(text)["command"]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"<{word}>" for word in words)


# --- what is wrong --------------------------------------------------------------------------------


def test_a_reference_to_nothing_suggests_a_key() -> None:
    problem = only("server: {port: 1}\nb: x ${server.prot}\n")
    assert place(problem) == (2, 6, 20)
    assert problem.message == "'server.prot' refers to nothing: server has no 'prot'"
    assert problem.label == "did you mean 'port'?"


def test_a_place_in_a_text_of_several_lines() -> None:
    problem = only("a: >-\n  one ${b}\n  two ${nope} three\nb: 1\n")
    assert place(problem) == (3, 7, 14)


def test_an_item_of_a_list_in_a_command_that_was_not_given() -> None:
    assert only("command: run ${a}\na: ['???']\n").code == "missing-reference"


def test_what_an_expression_makes_has_no_siblings() -> None:
    problem = only("a: \"${oc.create:{x: 1, y: '\\\\${.x}'}}\"\n")
    assert problem.message == "'.x' refers to nothing: an expression makes what it is in"


def test_a_circle_is_shown_once() -> None:
    problem = only("a: ${b}\nb: {c: 'x ${d.0}'}\nd: ['${b.c}']\n")
    assert problem.code == "reference-cycle"
    assert problem.message == "references lead in a circle: b.c -> d[0] -> b.c"


def test_a_mapping_can_not_be_in_itself() -> None:
    problem = only("a: {b: {c: '${a}'}}\n")
    assert problem.message == "'a' refers to what it is itself a part of"


def test_a_mapping_that_is_referred_to_stands_where_the_reference_does() -> None:
    """So that what is wrong with it there is told there; what is in it stands where it is."""
    root = composed("a: {b: 1}\nc: ${a}\n").root
    places = {path: line(walk(root, path)) for path in (("a",), ("c",), ("c", "b"))}
    assert places == {("a",): 1, ("c",): 2, ("c", "b"): 1}


def test_a_text_that_is_no_interpolation() -> None:
    problem = only("a: 1\nb: x ${a\n")
    assert problem.code == "bad-interpolation"
    assert problem.message.startswith("the interpolation can't be read: ")
    assert problem.label == r"a '${' that is plain text is written '\${'"
    assert place(problem) == (2, 4, 9)


def test_a_value_that_was_not_given() -> None:
    problem = only("a: {b: '???'}\nc: ${a.b}\n")
    assert problem.message == "'${a.b}' refers to a value that was not given: a.b is ???"
    assert problem.label == "give it with -o a.b=VALUE"
    assert resolved("a: {b: '???'}\nc: ${a.b}\n", "a.b=1")["c"] == 1


def test_an_unknown_resolver_names_the_others() -> None:
    problem = only("a: ${oc.evn:X}\n")
    assert problem.message == "evalc knows no resolver 'oc.evn'"
    assert problem.label == "did you mean 'oc.env'?"
    assert "select_not_null" in problem.help


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ${oc.env:A,b,c}\n", "oc.env takes 1 to 2 arguments, and is given 3"),
        ("a: ${oc.decode:}\n", "oc.decode takes 1 arguments, and is given 0"),
        ("a: ${select_not_null:a}\n", "select_not_null takes 2 or more arguments, and is given 1"),
        ("a: ${oc.select:1}\n", "the name of a key must be text, and 1 is not"),
        ("a: ${oc.create:x}\n", "oc.create needs a list or a mapping"),
        ("a: '${oc.create:{1: x}}'\n", "a key must be text, and 1 is not"),
        ("a: [1]\nb: ${oc.dict.values:a}\n", "oc.dict.values needs the key of a mapping"),
        ("a: {'1': 2}\nb: ${a.${c}}\nc: 1\n", "a part of a key must be text, and 1 is not"),
    ],
)
def test_what_a_resolver_can_not_use(text: str, message: str) -> None:
    problem = only(text)
    assert problem.code == "bad-interpolation"
    assert problem.message == message


def test_select_not_null_takes_the_first_of_several() -> None:
    text = (
        "a: null\nb: '???'\nc: 3\nd: ${select_not_null:a,b,nope,c,9}\ne: ${select_not_null:a,b,9}\n"
    )
    got = resolved(text)
    assert (got["d"], got["e"]) == (3, 9)


# --- limits ---------------------------------------------------------------------------------------


def test_texts_can_not_explode() -> None:
    lines = ["k0: xxxxxxxxxx"]
    lines += [f"k{i}: " + f"${{k{i - 1}}}" * 10 for i in range(1, 12)]
    found = problems("\n".join(lines) + "\n")
    assert [problem.code for problem in found] == ["too-large"]


def test_trees_can_not_explode() -> None:
    lines = ["k0: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"k{i}: [{', '.join([f'${{k{i - 1}}}'] * 10)}]" for i in range(1, 12)]
    (problem, *_) = problems("\n".join(lines).replace("${", "'${").replace("}", "}'") + "\n")
    assert problem.code == "too-large"


@pytest.mark.parametrize("count", [50, 5000])
def test_long_chains_end(count: int) -> None:
    text = "".join(f"k{i}: ${{k{i + 1}}}\n" for i in range(count)) + f"k{count}: end\n"
    if count < 60:
        assert resolved(text)["k0"] == "end"
    else:
        assert {problem.code for problem in problems(text)} == {"too-large"}


def test_deep_chains_of_mappings_end() -> None:
    text = "".join(f"k{i}: {{x: '${{k{i + 1}}}'}}\n" for i in range(300)) + "k300: {y: 1}\n"
    assert "too-large" in {problem.code for problem in problems(text)}


# --- one grammar, two parsers ---------------------------------------------------------------------

PIECES = (
    *(
        "${a}",
        "${a.b}",
        "${.a}",
        "${..a[0].b}",
        "${[a]}",
        "${a-b}",
        "${0}",
        "${a.0}",
        "${oc.env:X}",
    ),
    *("${oc.env:X,y}", "${oc.env:X, y}", "${oc.env:X,/a/b.c}", "${oc.env:X,http://h:80/v1}"),
    *(
        "${oc.env:X,''}",
        "${oc.env:X,0}",
        "${oc.env:X,12}",
        "${oc.env:X,012}",
        "${s:a,b,c}",
        "${s:_}",
    ),
    *("${s:null}", "${s:True}", "${s:inf}", "${s:a.5}", "${s:a:b}", "${s:a-}", "${s:a.1e5}", " x "),
    *("$", "\\", "\\${a}", "text", "'", '"', "{", "}", "${a b}", "${ a }", "${a:}", "${}", "${a.}"),
    *("\n", "é", "$$", "\\\\", "${s:nullx}", "${s:a/null}", "${s:/null}", "${s:nan.b}", "${s:-}"),
    *(
        "${a_b.C9}",
        "${.}",
        "${a..b}",
        "${a[b]c}",
        "${a.é}",
        "${s:é}",
        "${A:B}",
        "${1a.b}",
        "${1a:b}",
    ),
    *("${a-b:c}", "${a.b-c:d}", "${s:a,,b}", "${s:a,}"),
)


def test_common_forms_are_read_as_by_omegaconf() -> None:
    rng = random.Random(7)
    common = 0
    for _ in range(3000):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 4)))
        if "${" not in text or template._plain_parts(text) is None:
            continue
        ours = template._parse_template.__wrapped__(text)
        # The representation tells 1 from True and '1'.
        assert repr(ours) == repr(grammar.parse_value(text)), text
        common += 1
    assert common > 300


@pytest.mark.parametrize(
    ("key", "steps"),
    [
        ("a", ["a"]),
        ("a.b.0", ["a", "b", "0"]),
        ("a[b].c", ["a", "b", "c"]),
        ("[a].b", ["a", "b"]),
        ("[a][b]", ["a", "b"]),
        ("a-b[0]", ["a-b", "0"]),
    ],
)
def test_keys_are_taken_apart(key: str, steps: list[str]) -> None:
    assert split_key(key) == steps


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: ${x}-${y}${x.z}\n", [(1, 4, 8), (1, 9, 13), (1, 13, 19)]),
        ("a: '${x} ${x}'\n", [(1, 5, 9)]),
        ("command: |\n  ${x}\n  echo ${y}\n", [(2, 3, 7), (3, 8, 12)]),
        ("a: \\${x} ${x}\n", [(1, 10, 14)]),
        ("a: '\\\\${x} ${x}'\n", [(1, 7, 11)]),
        ('a: "\\\\${x} ${x}"\n', [(1, 12, 16)]),
    ],
)
def test_every_expression_of_a_text_is_told(text: str, places: list[tuple[int, int, int]]) -> None:
    assert [place(problem) for problem in problems(text)] == places


@pytest.mark.parametrize(
    "expression", ["${HOME}", "${HOME:-a}", "${1}", "${#a[@]}", "${a%%x}", "${a/b/c}", "${a[@]}"]
)
def test_what_is_bashs_own_is_written_with_a_backslash(expression: str) -> None:
    problem = only(f"command: echo {expression}\n")
    assert f"write \\{expression}" in problem.help
    assert resolved(f"command: echo \\{expression}\n") == {"command": f"echo {expression}"}
    assert "bash" not in only(f"a: echo {expression}\n").help


@pytest.mark.parametrize("expression", ["${a.b}", "${.b}", "${..a.b}"])
def test_a_key_with_dots_is_no_variable_of_bash(expression: str) -> None:
    assert "bash" not in only(f"b: {{command: echo {expression}}}\n").help
