"""A table of runs as one HTML file: no script, no font, no image from anywhere, and none needed.

Charts are inline SVG. Its colours come from the page's variables, which follow the reader's choice
of light or dark; on paper it is light. Points are told apart by their row, never by colour alone.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from evalc.export.comparing import name_of
from evalc.export.report import words
from evalc.export.report.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalc.export.comparing import Compared
    from evalc.export.model import Score
    from evalc.export.table import Cell, Cost, Row, Table

# A 95 % interval of a normal distribution, in standard errors.
_WIDE = 1.96
# Nothing is loaded, whatever a name in the results looks like.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MARKS = {"better": "▲", "worse": "▼", "same": "≈", "unknown": "?"}


def render(table: Table) -> str:
    """The whole document."""
    models = ", ".join(dict.fromkeys(run.model or run.name for run in table.runs))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        # Browsers ask the server for an icon otherwise.
        '<link rel="icon" href="data:,">',
        f"<title>Evaluation of {escape(models)}</title>",
        f"<style>{STYLE}</style></head><body><main>",
        f"<header><h1>Evaluation results</h1><p>{_summary(table)}</p></header>",
        *_overview(table),
        *_charts(table),
        *_differences(table),
        *_lacking(table),
        *_costs(table),
        *_runs(table),
        *_notices(table),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _summary(table: Table) -> str:
    tasks = len({row.key.task for row in table.rows})
    lacking = sum(1 for _ in table.lacking())
    facts = [
        _count(len(table.runs), "run"),
        f"{_count(tasks, 'task')} with results",
        _count(len(table.rows), "score"),
    ]
    if lacking:
        facts.append(f'<strong class="worse">{lacking} missing</strong>')
    if table.baseline is not None:
        facts.append(f"compared with {escape(table.titles[table.baseline])}")
    return " · ".join(facts)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _overview(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    head = ("Score", "Samples", *table.titles)
    rows = (
        (
            f'<th scope="row">{_name(row)}</th>',
            f'<td class="n">{row.samples}</td>',
            *(_cell(cell) for cell in row.cells),
        )
        for row in table.rows
    )
    note = "Value ± standard error."
    if len(table.runs) > 1:
        note += " ★ is the best of a row."
    if table.baseline is not None:
        note += (
            " ▲ better, ▼ worse than the baseline, ≈ no difference that chance would not make"
            " (p ≥ 0.05)."
        )
    yield _section("Scores", f'<p class="note">{note}</p>', _grid(head, rows))


def _cell(cell: Cell) -> str:
    text = escape(words.score(cell.score))
    if cell.best:
        text = f'<strong>{text} <span title="best of the row">★</span></strong>'
    one = cell.compared
    if one is not None and one.change is not None:
        mark = _MARKS[one.verdict]
        text += (
            f'<br><small class="{one.verdict}">{mark} {escape(words.change(one.change))}</small>'
        )
    return f'<td class="n">{text}</td>'


def _name(row: Row) -> str:
    # A name may break at its slashes, and anywhere where it must.
    return escape(name_of(row.key)).replace("/", "/<wbr>")


def _charts(table: Table) -> Iterator[str]:
    charts = [_chart(table, row) for row in table.rows]
    if charts:
        note = "Points with their 95 % intervals (1.96 standard errors), where those are known."
        yield _section(
            "Charts", f'<p class="note">{note}</p><div class="charts">{"".join(charts)}</div>'
        )


def _chart(table: Table, row: Row) -> str:
    there = [cell.score for cell in row.cells if cell.score and cell.score.is_number]
    low, high = _axis(there)
    lines = []
    for title, cell in zip(table.titles, row.cells, strict=True):
        label = f'<span class="who">{escape(title)}</span>'
        best = " best" if cell.best else ""
        lines.append(
            f'<div class="line{best}">{label}{_strip(cell.score, low, high)}'
            f'<span class="num">{escape(words.value(cell.score.value)) if cell.score else "-"}'
            "</span></div>"
        )
    ticks = (
        f'<div class="line axis"><span></span><span class="ticks"><span>{_tick(low)}</span>'
        f"<span>{_tick((low + high) / 2)}</span><span>{_tick(high)}</span></span>"
        "<span></span></div>"
    )
    return f"<figure><figcaption>{_name(row)}</figcaption>{''.join(lines)}{ticks}</figure>"


def _axis(scores: Sequence[Score]) -> tuple[float, float]:
    """From where to where a chart goes: 0 to 1 for shares, else round numbers around all."""
    if all(0 <= one.value <= 1 for one in scores):
        return 0.0, 1.0
    ends = [one.value + way * _WIDE * (one.stderr or 0) for one in scores for way in (-1, 1)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _tick(number: float) -> str:
    return f"{number:g}"


def _strip(score: Score | None, low: float, high: float) -> str:
    """A point on its line. The drawing is stretched to the room that there is; strokes are not, so
    a round end of no length is a round point."""
    drawn = '<line class="rail" x1="0" y1="8" x2="100" y2="8"/>'
    drawn += "".join(
        f'<line class="grid" x1="{x}" y1="2" x2="{x}" y2="14"/>' for x in (0, 25, 50, 75, 100)
    )
    said = "no score"
    if score is not None and score.is_number:
        at = _share(score.value, low, high)
        if score.stderr is not None:
            ends = [_share(score.value + way * _WIDE * score.stderr, low, high) for way in (-1, 1)]
            drawn += f'<line class="span" x1="{ends[0]:.2f}" y1="8" x2="{ends[1]:.2f}" y2="8"/>'
        drawn += f'<line class="dot" x1="{at:.2f}" y1="8" x2="{at:.2f}" y2="8"/>'
        said = words.score(score)
    return (
        f'<svg viewBox="0 0 100 16" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}">{drawn}</svg>'
    )


def _share(number: float, low: float, high: float) -> float:
    return min(100.0, max(0.0, 100 * (number - low) / ((high - low) or 1)))


def _differences(table: Table) -> Iterator[str]:
    if table.baseline is None:
        return
    against = escape(table.titles[table.baseline])
    for index, title in enumerate(table.titles):
        rows = [
            (f'<th scope="row">{_name(row)}</th>', *_difference(one))
            for row in table.rows
            if (one := row.cells[index].compared) is not None and one.change is not None
        ]
        if rows:
            head = ("Score", "Difference", "95 % interval", "p", "Test")
            yield _section(f"{escape(title)} against {against}", _grid(head, rows))


def _difference(one: Compared) -> Iterator[str]:
    assert one.change is not None
    found = one.difference
    mark = f"{_MARKS[one.verdict]} {escape(words.change(one.change))}"
    yield f'<td class="n {one.verdict}">{mark}</td>'
    interval = ", ".join(map(words.change, found.interval())) if found else ""
    yield f'<td class="n">{escape(interval)}</td>'
    yield f'<td class="n">{escape(words.p_value(found.p)) if found else ""}</td>'
    yield f"<td>{escape(found.method.value) if found else 'no standard errors'}</td>"


def _lacking(table: Table) -> Iterator[str]:
    rows = [
        (
            f'<th scope="row">{escape(task.id)}</th>',
            f"<td>{escape(title)}</td>",
            f'<td class="worse">{escape(task.state.value)}</td>',
            f"<td>{escape(reason)}</td>",
        )
        for title, task, reason in table.lacking()
    ]
    if rows:
        yield _section("Missing or failed", _grid(("Task", "Run", "State", "Why"), rows))


def _costs(table: Table) -> Iterator[str]:
    found = list(table.costs())
    if not found:
        return
    longest = max((c.spent.seconds or 0 for _, costs in found for c in costs), default=0) or 1
    rows: list[tuple[str, ...]] = []
    for title, costs in found:
        rows += [_cost(title, cost, longest) for cost in costs]
        rows.append(
            (
                '<th scope="row">all attempts</th>',
                f"<td>{escape(title)}</td>",
                '<td colspan="2"></td>',
                f'<td class="n"><strong>{escape(words.total(costs))}</strong></td>',
                "<td></td>",
            )
        )
    head = ("Job", "Run", "Attempt", "Time", "GPU hours", "End")
    yield _section("Cost", _grid(head, rows))


def _cost(title: str, cost: Cost, longest: float) -> tuple[str, ...]:
    """An attempt's row; its bar is a share of the longest one's."""
    share = 100 * (cost.spent.seconds or 0) / longest
    bar = (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect x="0" y="1" width="{share:.2f}" height="8"/></svg>'
    )
    return (
        f'<th scope="row">{escape(cost.job)}</th>',
        f"<td>{escape(title)}</td>",
        f'<td class="n">{cost.number}</td>',
        f'<td class="n">{words.duration(cost.spent.seconds)}{bar}</td>',
        f'<td class="n">{words.hours(cost.gpu_hours)}</td>',
        f"<td>{escape(cost.spent.how)}</td>",
    )


def _runs(table: Table) -> Iterator[str]:
    rows = []
    for title, run in zip(table.titles, table.runs, strict=True):
        images = dict.fromkeys(task.image for task in run.tasks if task.image)
        began = min((task.began for task in run.tasks if task.began), default=None)
        rows.append(
            (
                f'<th scope="row">{escape(title)}</th>',
                f"<td><code>{escape(run.id)}</code> {escape(run.name)}</td>",
                f"<td>{escape(words.when(began))}</td>",
                f"<td><code>{escape(run.bundle_digest[:12]) or '-'}</code></td>",
                f'<td class="long">{"<br>".join(map(escape, images)) or "-"}</td>',
            )
        )
    yield _section("Runs", _grid(("Model", "Run", "Began (UTC)", "Bundle", "Images"), rows))


def _notices(table: Table) -> Iterator[str]:
    items = [f"<li>{escape(title)}: {escape(text)}</li>" for title, text in table.notices()]
    if items:
        yield _section("To know", f"<ul>{''.join(items)}</ul>")


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(content)}</section>"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """``rows`` are cells of HTML, ``head`` is text."""
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    # A region that scrolls must be reachable by keyboard.
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
