"""Reports: what they show, and that a page is whole, safe and needs nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from export.made import answers, bundle, ended, lm_eval, results_yml

from evalc.errors import UsageError
from evalc.export.model import Key, Score
from evalc.export.reading import read_run
from evalc.export.report import as_json, html, markdown, terminal
from evalc.export.table import Cell, Row, tabulate

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.export.model import RunResult

EVIL = "<img src=http://x.example/ onerror=alert(1)>&\"'|`*日本\x1b[31m"
VOID = {"meta", "link", "br", "wbr", "line", "rect"}


@pytest.fixture
def runs(tmp_path: Path) -> list[RunResult]:
    """Two runs of three tasks, of which the second has failed at one."""
    for name, model, right in (("a", "big/model", 70), ("b", EVIL, 50)):
        run = bundle(tmp_path / name, ["h.one", "h.two", "h.three"], model=model)
        lm_eval(run / "h.one", "one", answers(100, right))
        ended(run / "h.one")
        results_yml(run / "h.two", {EVIL: {"bleu": {"bleu": (30 + right / 10, {"stderr": 0.5})}}})
        ended(run / "h.two")
        if name == "a":
            results_yml(run / "h.three", {"three": {"acc": {"acc": (0.5, {"count": 10})}}})
            ended(run / "h.three")
        else:
            ended(run / "h.three", 7, "out of memory")
    return [read_run(tmp_path / "a"), read_run(tmp_path / "b")]


def test_a_terminal(runs: list[RunResult]) -> None:
    text = terminal.render(tabulate(runs, "big/model"), 300, colour=False)
    assert re.search(
        r"^h.one/exact_match +100 +0\.700 ±0\.046 \* +0\.500 ±0\.050$", text, re.MULTILINE
    )
    assert re.search(
        r"h.one/exact_match +-0\.200 \[.*\] p[<=]0\.00\d worse, paired \(McNemar", text
    )
    assert re.search(r"h.three +failed +exit code 7: out of memory", text)
    assert re.search(r"suite +attempt 1 +1:00:00 +2\.00 GPU h +finished", text)
    assert "\x1b" not in text


def test_a_narrow_terminal_has_the_runs_below_each_other(runs: list[RunResult]) -> None:
    table = tabulate(runs)
    assert terminal.render(table, 40, colour=False).count("SCORE") == 2
    assert terminal.render(table, 400, colour=False).count("SCORE") == 1


def test_markdown_takes_names_for_text(runs: list[RunResult]) -> None:
    text = markdown.render(tabulate(runs, "big/model"))
    rows = [line for line in text.splitlines() if line.startswith("| h.one/exact")]
    assert "**0.700 ±0.046**" in rows[0]
    assert not re.search(r"(?<!\\)<", text)
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in {3, 5, 6, 7}


class Page(HTMLParser):
    """Holds a page against its rules."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag not in {"script", "img", "iframe", "object", "embed", "base", "form"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action", "style"}
            if name in {"href", "xlink:href"}:
                assert value == "data:,"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_needs_nothing_and_runs_nothing(runs: list[RunResult]) -> None:
    text = html.render(tabulate(runs, "big/model"))
    page = Page(text)
    assert page.tags.count("figure") == 3
    # A point for each score that there is, a bar for each attempt.
    assert text.count('class="dot"') == 5
    assert page.tags.count("rect") == 2
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert "default-src 'none'" in text
    assert "exit code 7: out of memory" in text
    assert "\x1b" not in text


def test_numbers_of_a_chart_stay_in_it(tmp_path: Path) -> None:
    for name, value in (("a", 1e-9), ("b", -5e6)):
        results_yml(tmp_path / name / "one", {"one": {"x": {"x": (value, {"stderr": 1e7})}}})
    text = html.render(tabulate([read_run(tmp_path / "a"), read_run(tmp_path / "b")]))
    places = [float(x) for x in re.findall(r' x[12]="([-\d.]+)"', text)]
    assert places
    assert all(0 <= x <= 100 for x in places)


def test_json_has_it_all(runs: list[RunResult]) -> None:
    table = json.loads(
        json.dumps(as_json.table_object(tabulate(runs, runs[0].id)), allow_nan=False)
    )
    assert table["baseline"] == runs[0].id
    one = table["scores"][0]
    assert (one["task"], one["metric"]) == ("h.one", "exact_match")
    assert [run["value"] for run in one["runs"]] == [0.7, 0.5]
    assert one["runs"][0]["difference"] is None
    difference = one["runs"][1]["difference"]
    assert (difference["verdict"], difference["test"]) == ("worse", "paired (McNemar, exact)")
    assert table["missing"][0]["reason"] == "exit code 7: out of memory"
    assert table["costs"][0]["attempts"][0]["gpu_hours"] == 2.0
    assert table["runs"][0]["tasks"][0]["parameters"]["temperature"] == 0.5


def test_a_baseline_must_be_one_of_the_runs(runs: list[RunResult]) -> None:
    with pytest.raises(UsageError, match="none of the runs"):
        tabulate(runs, "bigger")
    with pytest.raises(UsageError, match="one of several"):
        tabulate(runs, "suite")


def test_the_same_model_twice_and_the_same_run_twice(runs: list[RunResult]) -> None:
    titles = tabulate([runs[0], runs[0]]).titles
    assert len(set(titles)) == 2


def test_a_run_without_any_results(tmp_path: Path) -> None:
    run = bundle(tmp_path / "a", ["h.one"])
    table = tabulate([read_run(run)])
    assert "not started" in terminal.render(table, 80, colour=True)
    Page(html.render(table))
    assert "not started" in markdown.render(table)


def test_how_many_samples_several_runs_have() -> None:
    def row(*counts: int | None) -> str:
        scores = [Score("p", "m", "s", 0.5, count=count) for count in counts]
        return Row(Key("t", "p", False, "m", "s"), tuple(Cell(score) for score in scores)).samples

    assert [row(), row(None), row(30, 30), row(30, 20, 25), row(30, None)] == [
        "", "", "30", "20-30", "30?"
    ]  # fmt: skip
    assert Row(Key("t", "p", False, "m", "s"), (Cell(None),)).samples == ""
