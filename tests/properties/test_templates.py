"""What a test of values can't see in templates and static libraries: how they are written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

from evalc.backends.lepton.check import OWN_VARIABLES
from evalc.backends.slurm.options import SCRIPT_VARIABLES
from evalc.emit.environment import markdown_environment, shell_environment
from evalc.plan.env import name_fault
from evalc.plan.names import ENDPOINT_URL
from evalc.resources import template_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

SHFMT = Path(sys.executable).parent / "shfmt"
SCRIPTS = sorted(template_dir().glob("*/*.sh.j2"))
PAGES = sorted(template_dir().glob("*/*.md.j2"))
LIBRARIES = sorted((template_dir() / "lib").iterdir())
# What the runner sends to hosts: linted as all shell is, and nowhere near a user's variables.
RUNNER = sorted((template_dir() / "runner").iterdir())
# What lies beside the bundles in a pack, run by people: the same.
PACK = sorted((template_dir() / "pack").glob("*.sh"))

# All that may be put into a script without quotes. Each is made by evalc or has been checked: a
# variable's name, a command that command_line() has quoted, an option that sbatch_value() has,
# another template's text, text of the template's own.
RAW = {'"${"', "name", "command", '"s"', '", with one server for all"'}
RAW |= {"directive", "evaluation", "service.name", "service.start"}
# Numbers, which need no filter in a comment.
NUMBERS = {"count", "jobs", "servers"}


class Printed:
    """One ``{{ … }}``: its expression, its last filter, and whether it is in quotes or a comment."""

    def __init__(self, text: str, state: str) -> None:
        self.state = state
        # What decides between two texts is no text itself.
        text = re.sub(r" if .*", "", text.strip())
        self.expression, _, self.filter = (part.strip() for part in text.partition("|"))


def printed(template: str) -> Iterator[Printed]:
    """Every expression that a shell template prints, with the state that the shell is in there."""
    state, text = "", ""
    for _line, kind, value in jinja2.Environment(trim_blocks=True).lex(template):
        if kind == "data":
            state = shell_state(value, state)
        elif kind == "variable_begin":
            text = ""
        elif kind == "variable_end":
            yield Printed(text, state)
        else:
            text += value


def shell_state(text: str, state: str) -> str:
    """The quotes that are open behind ``text``, or ``#`` in a comment."""
    before = "\n"
    for character in text:
        if state == "#":
            state = "" if character == "\n" else state
        elif before == "\\" and state != "'":
            character = ""  # noqa: PLW2901 - what is escaped opens and closes nothing
        elif state == character:
            state = ""
        elif not state and (character in "'\"" or (character == "#" and before in "\n ")):
            state = character
        before = character
    return state


def faults(template: str) -> list[str]:
    """What is wrong with how a template prints."""
    found = []
    for one in printed(template):
        name = f"{one.expression} | {one.filter}" if one.filter else one.expression
        if one.filter == "raw_shell":
            if one.expression not in RAW:
                found.append(f"{name} is not among what may be raw")
        elif one.state == "#":
            if one.filter != "comment" and one.expression not in NUMBERS:
                found.append(f"{name} in a comment")
        elif one.state:
            found.append(f"{name} in quotes")
        elif one.filter not in ("", "words", "here_document"):
            found.append(f"{name} outside of a comment")
    return found


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_printed_into_quotes(path: Path) -> None:
    """There a quoted value would end the quotes: ``"{{ x }}"`` is never right."""
    assert faults(path.read_text()) == []
    assert list(printed(path.read_text()))


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ('echo "{{ x }}"', "x in quotes"),
        ("echo '{{ x }}'", "x in quotes"),
        ('echo "a\\"{{ x }}"', "x in quotes"),
        ('echo "it\'s\n{{ x }}"', "x in quotes"),
        ("echo 'a\"b' {{ x | raw_shell }}", "x | raw_shell is not among what may be raw"),
        ("# {{ x }}", "x in a comment"),
        ("echo {{ x | comment }}", "x | comment outside of a comment"),
        ("echo {{ x }} # it's\necho '{{ y }}'", "y in quotes"),
        ("{% if a %}echo '{% endif %}{{ x }}'", "x in quotes"),
    ],
)
def test_the_lint_finds(template: str, fault: str) -> None:
    assert faults(template) == [fault]


@pytest.mark.parametrize(
    "template",
    [
        "echo {{ x }}",
        "echo 'a'{{ x }}\"b\"",
        "a=$#b {{ x }}",
        'echo \\"{{ x }}',
        "# it's {{ x | comment }}",
    ],
)
def test_the_lint_lets_pass(template: str) -> None:
    assert faults(template) == []


@pytest.mark.parametrize("path", [*SCRIPTS, *PAGES], ids=lambda path: path.name)
def test_templates_are_whole(path: Path) -> None:
    """No filter or test is missing; no block is left open."""
    environment = markdown_environment() if path in PAGES else shell_environment()
    name = str(path.relative_to(template_dir()))
    assert environment.get_template(name).name == name
    # Jinja would take the filters of HTML for granted if they were there.
    assert not environment.filters.keys() & {"e", "escape", "safe", "tojson"}


def test_every_file_is_looked_at() -> None:
    there = {path for path in template_dir().rglob("*") if path.is_file()}
    assert there == {*SCRIPTS, *PAGES, *LIBRARIES, *RUNNER, *PACK}


# The static libraries. Scripts give users' variables their own names, so that no variable of ours
# may have a name that a user's can have; evalc.plan.env refuses ours.

# Set for one function, or for the programs that it calls; never read for itself. "_" is what is
# thrown away.
SET_ASIDE = {"LC_ALL", "IFS", "_"}
# What servers and tasks on Slurm find in their environment, which its check refuses as names.
SET_ASIDE |= SCRIPT_VARIABLES
# The same of Lepton's; what stands for an endpoint's address; and the workspace, which submit_all.sh
# takes from the environment of its children.
SET_ASIDE |= OWN_VARIABLES | {ENDPOINT_URL, "LEPTON_WORKSPACE_ID", "LEPTON_WORKSPACE_TOKEN"}


def tree(text: str) -> Any:
    """The syntax tree of a shell text, by shfmt."""
    done = subprocess.run(
        [SHFMT, "--to-json"], input=text, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every node of a syntax tree."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def plain(word: Any) -> str:
    """A word's text when there is nothing to expand in it."""
    parts = word.get("Parts", [])
    return str(parts[0].get("Value", "")) if len(parts) == 1 else ""


_ASSIGNS = re.compile(rb"(<<|>>|[-+*/%&|^])?=(?!=)")


def assigned(text: str) -> set[str]:
    """The names of all variables that a shell text sets."""
    found = set()
    for node in nodes(tree(text)):
        kind = node.get("Type")
        for assign in [*node.get("Assigns", []), *(node["Args"] if kind == "DeclClause" else [])]:
            if "Name" in assign:
                found.add(assign["Name"]["Value"])
        if kind == "WordIter" or ("Name" in node and "Items" in node):
            found.add(node["Name"]["Value"])
        if kind == "BinaryArithm" and _ASSIGNS.match(text.encode()[node["OpPos"]["Offset"] :]):
            found.add(plain(node["X"]).partition("[")[0])
        if kind == "CallExpr" and node.get("Args"):
            command, *words = [plain(word) for word in node["Args"]]
            if command in ("read", "mapfile", "readarray", "getopts"):
                found |= {word for word in words if re.fullmatch(r"[A-Za-z_]\w*", word)}
            if command == "printf" and words[:1] == ["-v"]:
                found.add(words[1])
    return {name for name in found if re.fullmatch(r"[A-Za-z_]\w*", name)}


def functions(text: str) -> set[str]:
    return {node["Name"]["Value"] for node in nodes(tree(text)) if node.get("Type") == "FuncDecl"}


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.name)
def test_no_variable_of_a_library_can_meet_a_users(path: Path) -> None:
    open_names = {name for name in assigned(path.read_text()) if not name_fault(name)}
    assert open_names <= SET_ASIDE
    assert all(name.startswith("evalc_") for name in functions(path.read_text()))


def test_the_libraries_do_set_variables() -> None:
    found = {name for path in LIBRARIES for name in assigned(path.read_text())}
    assert len(found) > 40
    assert {"_task", "_pid", "_EXIT_IO", "_GRACE", "EVALC_SERVERS"} <= found


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a=1 b+=2 c[3]=4", {"a", "b", "c"}),
        (
            "f() { local d e=1; readonly g=1; declare -A h=(); export i; }",
            {"d", "e", "g", "h", "i"},
        ),
        ("for j in x; do :; done; for ((k = 0; k < 1; k++)); do :; done", {"j", "k"}),
        ("read -r l m <x; while read -r n; do :; done", {"l", "m", "n"}),
        (
            "printf -v o x; mapfile -t p; (q=1); x=$(r=1 s); [ $((t = 1)) ]",
            {"o", "p", "q", "r", "t", "x"},
        ),
        ("[ $((a - b)) ] && ((c == d)) && ((e += f))", {"e"}),
        ("LC_ALL=C sort; echo u=1", {"LC_ALL"}),
    ],
)
def test_every_way_of_setting_a_variable_is_seen(text: str, names: set[str]) -> None:
    assert assigned(text) == names
