"""How pages look: on screens wide and narrow, light and dark, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  --ink: #1f2328; --faint: #59636e; --line: #d8dee4; --ground: #ffffff; --raised: #f6f8fa;
  --good: #005a8c; --bad: #a63d00;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8eb; --faint: #a0a8b0; --line: #3a4149; --ground: #16191d; --raised: #20252b;
    --good: #7cc7f2; --bad: #f5a26b;
  }
  figure img { padding: 0.6rem }
}
* { box-sizing: border-box }
body {
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  max-width: 75rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; color: var(--ink); background: var(--ground);
  overflow-wrap: break-word;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; letter-spacing: -0.01em }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.6rem 0 0.7rem }
h3, h4 { font-size: 1rem; line-height: 1.3; margin: 1.8rem 0 0.6rem }
section { margin: 3.2rem 0 0; border-top: 2px solid var(--line) }
section h2 { font-size: 1.5rem; margin: 1.4rem 0 0.5rem }
section h3 { font-size: 1.15rem }
a { color: var(--good) }
p, li { max-width: 44rem; margin: 0.5rem 0 }
ul { padding-left: 1.2rem }
.kind, .small, figcaption { color: var(--faint); font-size: 0.9rem }
.kind { margin: 0 0 0.3rem }
.kind b { font-weight: 600 }
.scrolling { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; font-size: 0.92rem; font-variant-numeric: tabular-nums }
th, td {
  padding: 0.45rem 0.9rem 0.45rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
th { font-weight: 600 }
thead th, thead td { border-bottom: 2px solid var(--line); vertical-align: bottom }
.results { min-width: min(100%, 52rem) }
.results td > *, .results i { display: block }
.results td > *, .results i, .results th span { white-space: nowrap }
.results b, .results i { font-style: normal; font-weight: 600 }
.results small { color: var(--faint); font-size: 0.85rem }
.results tbody th, .results thead td {
  position: sticky; left: 0; background: var(--ground); min-width: 5.5rem; max-width: 12rem;
}
.within, .better { color: var(--good) }
.not-reached, .outside { color: var(--bad) }
.pairs td { overflow-wrap: anywhere }
.pairs th { font-weight: 400; color: var(--faint); white-space: nowrap }
.numbers { white-space: nowrap }
.numbers td.number, .numbers th.number { text-align: right; padding-left: 0.9rem }
.layers td:first-child { overflow-wrap: anywhere; min-width: 14rem }
.charts {
  display: grid; gap: 1rem; margin: 0 0 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr));
}
.charts .scrolling img { min-width: 30rem }
.drawn img {
  display: block; width: max(100%, 64rem); max-width: none; height: auto; background: #ffffff; border-radius: 6px;
}
.met { color: var(--good) }
.missed, .left-out { color: var(--bad) }
pre {
  background: var(--raised); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.8rem 1rem; margin: 0.7rem 0 1.2rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font: 0.9rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
figure { margin: 0 }
figure img, .charts img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 6px }
figcaption { max-width: 44rem; margin: 0.6rem 0 0 }
@media print {
  @page { margin: 16mm 14mm }
  :root { font-size: 10pt }
  body { max-width: none; padding: 0 }
  .scrolling { overflow: visible }
  th, td { padding-right: 0.7rem }
  .results td > *, .results i { white-space: normal }
  .results tbody th, .results thead td { position: static; background: none }
  h2 { break-after: avoid }
  figure, tr, pre { break-inside: avoid }
}
"""
