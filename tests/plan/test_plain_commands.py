"""Commands that are called plain are ones that bash can read."""

from __future__ import annotations

import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalc.plan.plain_commands import PLAIN, is_plain

PLAIN_FRAGMENTS = """
echo a=b a+=b 2 x.y -n --key=value '' 'one' "two" "$A" "${A}" $A ; && | || > >> 2> < 2>&1 a
""".split()  # noqa: SIM905 - as one reads a command line
ODD_FRAGMENTS = """
if then else elif fi case esac for select while until do done in function time coproc ! [[ ]] { } ( )
' " $ ` # ;; & << <<< >& ~ * ? \\ $'a' $"a" ${ ${#A} i\\
""".split()  # noqa: SIM905
FRAGMENTS = st.sampled_from(PLAIN_FRAGMENTS * 3 + ODD_FRAGMENTS)
BETWEEN = (" ", " ", " ", "", "\t", "\n", " \n", "\\\n", " \\\n", "\n\n")


def bash_reads(text: str) -> bool:
    return (
        subprocess.run(
            ["bash", "--norc", "-n"], input=text.encode(), capture_output=True, check=False
        ).returncode
        == 0
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_regex(PLAIN, fullmatch=True))
def test_bash_reads_what_is_plain(text: str) -> None:
    assert bash_reads(text)


@settings(max_examples=3000, deadline=None)
@given(
    st.lists(st.tuples(FRAGMENTS, st.sampled_from(BETWEEN)), min_size=1, max_size=6).map(
        lambda pairs: "".join(part for pair in pairs for part in pair)
    )
)
def test_bash_reads_what_is_called_plain_among_all_else(text: str) -> None:
    assert not is_plain(text) or bash_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        "echo",
        "python -m harness --model $MODEL_ID --url \"${MODEL_URL}\" --out '$x; done'\n",
        "cd /work && pip install -q harness==1.2 || exit 1\nharness run > log.txt 2>&1\n",
        "harness \\\n  --one 1 \\\n  --two 'b c'\n",
        'A=1 B="it\'s" harness | tee log.txt;',
    ],
)
def test_what_people_write_is_plain(text: str) -> None:
    assert is_plain(text)
    assert bash_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        "if",
        "echo 'open",
        'echo "open',
        "echo a && ",
        "echo | | cat",
        "echo `date",
        "echo $(date",
        "then",
        "echo a;; b",
        "a\n;",
        "i\\\nf x",
        "(a",
        "echo ${a",
        "echo a >",
        "\x00",
        "a && if",
    ],
)
def test_what_may_be_wrong_is_not_plain(text: str) -> None:
    assert not is_plain(text)


def test_a_long_text_takes_no_time() -> None:
    begin = time.monotonic()
    for text in ("a " * 100_000 + "(", " " * 100_000 + "(", "a\n" * 100_000 + "(", "'" * 99_999):
        assert not is_plain(text)
    assert time.monotonic() - begin < 5
