"""The blocks of a page as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .blocks import Block, Code, Heading, Picture, Text

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  padding: 1rem; max-width: 70rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th { border-top: 2px solid; border-bottom: 1px solid; }
tbody tr:last-child td { border-bottom: 2px solid; }
.words { text-align: left; } td.words { white-space: normal; min-width: 6rem; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } svg { width: 100%; max-width: 44rem; height: auto; }
figcaption, p.remark { color: #444; font-size: .875rem; }
pre { overflow-x: auto; font-size: .75rem; background: #f5f5f5; padding: .5rem; }
@media print { body { max-width: none; font-size: 10pt; } .wide { overflow: visible; }
  table { font-size: 7pt; } th, td { white-space: normal; padding: 1pt 3pt; }
  figure, tr { break-inside: avoid; } }
"""


def html(blocks: Sequence[Block]) -> str:
    """The whole page."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(map(_element, blocks))
        + "\n</body>\n</html>\n"
    )


def _element(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Code):
        return f"<pre>{escape(chr(10).join(block.lines))}</pre>"
    if isinstance(block, Text):
        return f'<p class="remark">{escape(block.text)}</p>'
    if isinstance(block, Picture):
        caption = escape(block.caption)
        return (
            f'<figure role="img" aria-label="{caption}">{block.svg}'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    kinds = [' class="words"' if name in block.words else "" for name in block.columns]

    def cells(tag: str, texts: Sequence[str]) -> str:
        made = (f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, texts))
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(cells("td", row) for row in block.rows)
    head = cells("th", block.columns)
    return f'<div class="wide"><table><thead>{head}</thead>\n<tbody>{body}</tbody></table></div>'
