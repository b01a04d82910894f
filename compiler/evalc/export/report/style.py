"""The style sheet of a report."""

# Blue and vermilion of Okabe and Ito, which the colour-blind tell apart; darker and lighter ones
# so that text has a contrast of 4.5 on either background.
STYLE = """
:root {
  --back: #ffffff; --text: #1b1f24; --faint: #57606a; --rule: #d8dee4; --panel: #f6f8fa;
  --point: #0060a0; --span: #7fb2d9; --best: #0060a0; --better: #006d4f; --worse: #b33c00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0f1318; --text: #e6eaef; --faint: #9aa6b2; --rule: #313a44; --panel: #181e25;
    --point: #6cb8f0; --span: #35668c; --best: #6cb8f0; --better: #4fc79a; --worse: #ff9461;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; overflow-wrap: anywhere; }
header p, .note, small { color: var(--faint); }
header p, .note { margin: .3rem 0 .8rem; }
.note { font-size: .87rem; }
.wide { overflow-x: auto; border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .7rem; text-align: left; vertical-align: top; }
tbody tr { border-top: 1px solid var(--rule); }
thead th { font-size: .82rem; color: var(--faint); background: var(--panel); }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 9rem; }
td.n { white-space: nowrap; }
strong { color: var(--best); }
.better { color: var(--better); }
strong.worse, .worse { color: var(--worse); }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr));
  gap: .8rem; }
figure { margin: 0; padding: .8rem .9rem .5rem; border: 1px solid var(--rule); border-radius: 8px;
  break-inside: avoid; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; overflow-wrap: anywhere; }
.line { display: grid; grid-template-columns: minmax(4rem, 34%) 1fr 3.6rem; gap: .6rem;
  align-items: center; }
.who { overflow-wrap: anywhere; font-size: .87rem; line-height: 1.25; padding: .15rem 0; }
.num { text-align: right; font-variant-numeric: tabular-nums; }
.best .num { color: var(--best); font-weight: 700; }
.line svg { width: 100%; height: 18px; overflow: visible; display: block; }
.line line { vector-effect: non-scaling-stroke; }
.rail, .grid { stroke: var(--rule); stroke-width: 1; }
.span { stroke: var(--span); stroke-width: 5; stroke-linecap: round; }
.dot { stroke: var(--point); stroke-width: 11; stroke-linecap: round; }
.ticks { display: flex; justify-content: space-between; }
.axis { font-size: .75rem; color: var(--faint); }
.bar { display: block; width: 7rem; height: 6px; margin-top: .25rem; fill: var(--span); }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  body { font-size: 14px; }
  th, td { padding: .4rem .5rem; }
  tbody th { min-width: 7.5rem; }
}
@media print {
  :root {
    --back: #fff; --text: #000; --faint: #444; --rule: #bbb; --panel: #eee;
    --point: #0060a0; --span: #7fb2d9; --best: #0060a0; --better: #006d4f; --worse: #b33c00;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  body { font-size: 10pt; }
  .wide { overflow: visible; }
  /* Nobody can scroll on paper: the digest of an image is longer than what is left of a line. */
  td.long { overflow-wrap: anywhere; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .charts { grid-template-columns: 1fr 1fr; }
}
""".strip()
