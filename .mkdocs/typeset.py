"""Formulas of docstrings, as they are typed in a terminal, made into LaTeX.

    y_ij = e^(x_ij - m_i) / sum_k e^(x_ik - m_i)    m_i the largest of row i

Names side by side are multiplied, `*` multiplies elementwise, `@` matrices; a fraction reaches from where its
product starts to the end of the next factor. `_` begins a subscript, `[...]` is one, `.T` transposes, and `f` is
derived by `f'`. What stands behind a wide gap is said in words.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"(?P<gap>\s*)(?P<text>\d+(?:\.\d+)?|[A-Za-z]\w*'*|_[a-z]+|\.T\b|<=|>=|\+=|[-+*/^@=<>|(),;\[\]])"
)
_GREEK = {"alpha", "beta", "gamma", "delta", "lambda", "mu", "rho", "Phi"}
_FUNCTIONS = {"log", "tanh", "max", "min", "exp"}
_RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": r"\le", ">=": r"\ge", "+=": r"\mathrel{+}="}
_LETTER = re.compile(r"^(d?)([A-Za-z])(\d*)$")
_GREEKS = re.compile(rf"^(d?)({'|'.join(sorted(_GREEK))}|eps)(\d*)$")


class UnreadableError(ValueError):
    """A text is no formula."""


def latex(line: str) -> str:
    """Return a formula as LaTeX, with the words behind it.

    Raises:
        UnreadableError: it is none.
    """
    formula, *words = re.split(r"\s{3,}", line.strip(), maxsplit=1)
    return _Reader(formula).read() + "".join(rf" \qquad \text{{{said}}}" for said in words)


class _Reader:
    """Reads one formula from left to right; each method reads what it is named after, and returns its LaTeX."""

    def __init__(self, formula: str) -> None:
        self._tokens: list[tuple[str, bool]] = []
        at = 0
        while at < len(formula.rstrip()):
            found = _TOKEN.match(formula, at)
            if found is None:
                raise UnreadableError(formula)
            self._tokens.append((found["text"], not found["gap"]))
            at = found.end()
        self._at = 0
        self._absolute = False

    def read(self) -> str:
        written = self._list(r",\quad ")
        if self._at < len(self._tokens):
            raise UnreadableError(self._next)
        return written

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def _adjacent(self) -> bool:
        """Whether the next token follows the last without a space."""
        return self._at < len(self._tokens) and self._tokens[self._at][1]

    def _take(self, expected: str = "") -> str:
        token = self._next
        if not token or (expected and token != expected):
            raise UnreadableError(f"{token!r} in place of {expected!r}")
        self._at += 1
        return token

    def _list(self, comma: str) -> str:
        written = self._relation()
        while self._next in (",", ";"):
            self._take()
            written += comma + self._relation()
        return written

    def _relation(self) -> str:
        written = self._sum()
        while self._next in _RELATIONS:
            written += f" {_RELATIONS[self._take()]} {self._sum()}"
        return written

    def _sum(self) -> str:
        written = self._take() if self._next == "-" else ""
        written += self._product()
        while self._next in ("+", "-"):
            written += f" {self._take()} {self._product()}"
        return written

    def _product(self) -> str:
        written = self._factor()
        while True:
            if self._next == "/":
                self._take()
                written = rf"\frac{{{bare(written)}}}{{{bare(self._factor())}}}"
            elif self._next in ("*", "@"):
                written += rf" {self._times()} {self._factor()}"
            elif self._begins_factor():
                written += rf" \, {self._factor()}"
            else:
                return written

    def _times(self) -> str:
        return r"\odot" if self._take() == "*" else r"\,"

    def _begins_factor(self) -> bool:
        token = self._next
        return token[:1].isalnum() or token == "(" or (token == "|" and not self._absolute)

    def _factor(self) -> str:
        written = self._marked(self._primary())
        if self._next == "^":
            self._take()
            sign = self._take() if self._next == "-" else ""
            written += f"^{{{sign}{bare(self._marked(self._primary()))}}}"
        return written

    def _marked(self, written: str) -> str:
        """Read what follows something without a space: arguments, subscripts, the sign of a transpose."""
        while self._adjacent and (self._next in ("(", "[", ".T") or self._next.startswith("_")):
            token = self._take()
            if token == "(":
                written += group(self._list(", "))
                self._take(")")
            elif token == "[":
                written += f"_{{{self._list(', ')}}}"
                self._take("]")
            else:
                written += r"^\top" if token == ".T" else f"_{{{token[1:]}}}"
        return written

    def _primary(self) -> str:
        token = self._take()
        if token == "(":
            inside = group(self._list(", "))
            self._take(")")
            return inside
        if token == "|":
            self._absolute = True
            written = rf"\left|{self._sum()}\right|"
            self._absolute = False
            self._take("|")
            return written
        if token == "sqrt":
            return rf"\sqrt{{{bare(self._primary())}}}"
        if token.partition("_")[0] == "sum":
            below = token.partition("_")[2]
            return rf"\sum{f'_{{{below}}}' if below else ''} {self._product()}"
        if not token[0].isalnum():
            raise UnreadableError(token)
        return name(token)


def name(token: str) -> str:
    """Return a name: a letter, Greek where it is spelled so, or a word; with its subscript and its primes."""
    plain = token.rstrip("'")
    base, _, below = plain.partition("_")
    short = _LETTER.match(base) or _GREEKS.match(base)
    if below and not short and len(below) > 2:
        base, below = plain, ""
    written, digits = _base(base)
    below = below if len(below) <= 3 else rf"\text{{{below}}}"
    under = f"_{{{digits}{below}}}" if digits or below else ""
    return written + under + "'" * (len(token) - len(plain))


def _base(word: str) -> tuple[str, str]:
    """Return a name without its subscript, and the digits that it ends in."""
    greek, letter = _GREEKS.match(word), _LETTER.match(word)
    if greek:
        return greek[1] + "\\" + ("varepsilon" if greek[2] == "eps" else greek[2]) + " ", greek[3]
    if letter:
        return letter[1] + letter[2], letter[3]
    if word in _FUNCTIONS:
        return "\\" + word + " ", ""
    return (word if word[0].isdigit() else rf"\text{{{word}}}"), ""


class Group(str):
    """What stands in parentheses, and without them where a bar or a root holds it together already."""

    inner: str


def group(inner: str) -> Group:
    """Return something in parentheses, as high as it is."""
    high = any(mark in inner for mark in (r"\frac", r"\sum", r"\sqrt"))
    made = Group(rf"\left({inner}\right)" if high else f"({inner})")
    made.inner = inner
    return made


def bare(written: str) -> str:
    """Return a group without its parentheses, and everything else as it is."""
    return written.inner if isinstance(written, Group) else written
