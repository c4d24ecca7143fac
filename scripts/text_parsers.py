# SPDX-License-Identifier: Apache-2.0
"""Reads sections, a heading and the plain text under it, out of the formats of some Debian packages.

Every parser takes the root of an unpacked package and yields sections in a fixed order. They read what these
packages hold; they are not general readers of dictd, HTML, man, WordNet or KiCad files.
"""

from __future__ import annotations

import dataclasses
import gzip
import html.parser
import pathlib
import re
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Section:
    """`id` is unique within a package; `heading` is what a reader would look the text up by."""

    id: str
    heading: str
    text: str


def squeeze(text: str) -> str:
    return " ".join(text.split())


# --- dictd: an index of "headword, offset, length" lines, and definitions compressed by dictzip -------------


def parse_dictd(root: pathlib.Path, name: str) -> Iterator[Section]:
    definitions = gzip.decompress((root / f"usr/share/dictd/{name}.dict.dz").read_bytes())
    spans: dict[tuple[int, int], str] = {}  # aliases share a definition: the first headword stands for it
    for line in (root / f"usr/share/dictd/{name}.index").read_text(encoding="utf-8").splitlines():
        headword, offset, length = line.split("\t")[:3]
        if not headword.startswith("00-database"):
            spans.setdefault((_dictd_number(offset), _dictd_number(length)), headword)
    for offset, length in sorted(spans):
        # The definition opens with its headwords, flush left; its text is indented.
        lines = definitions[offset : offset + length].decode("utf-8", "replace").splitlines()
        headwords = [line for line in lines if line and not line.startswith(" ")]
        text = " ".join(line for line in lines if line.startswith("   "))
        text = re.sub(r"\{|\}|^\s*(<[^>]*>\s*)+|\(\d{4}-\d\d-\d\d\)|\(https?:[^)]*\)", "", text)
        if headwords:
            yield Section(f"{name}-{offset}", headwords[0], squeeze(text))


def _dictd_number(digits: str) -> int:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    value = 0
    for digit in digits:
        value = value * 64 + alphabet.index(digit)
    return value


# --- HTML: a section runs from one heading to the next ------------------------------------------------------


class _HeadingReader(html.parser.HTMLParser):
    """Collects [heading, text] pairs; leaves out code, tables and navigation."""

    HEADINGS = ("h1", "h2", "h3", "h4")
    BLOCKS = ("p", "li", "dt", "dd", "blockquote", "div", "br")
    SKIPPED = ("pre", "table", "script", "style", "head")

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = [["", ""]]
        self._skip_depth = 0
        self._is_in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SKIPPED:
            self._skip_depth += 1
        elif tag in self.HEADINGS:
            self.sections.append(["", ""])
            self._is_in_heading = True
        elif tag in self.BLOCKS:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self._skip_depth -= 1
        elif tag in self.HEADINGS:
            self._is_in_heading = False

    def handle_data(self, data: str) -> None:
        if self._skip_depth == 0:
            self.sections[-1][0 if self._is_in_heading else 1] += data


def _html_sections(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    reader = _HeadingReader()
    reader.feed(path.read_text(encoding="utf-8", errors="replace"))
    for heading, text in reader.sections:
        number = r"^(Chapter |Appendix |Part )?[A-Z]?[\dIVX]*(\.\d+)*\.?\s(?=\S)"
        yield re.sub(number, "", squeeze(heading)), squeeze(text)


def parse_postgresql_manual(root: pathlib.Path) -> Iterator[Section]:
    folder = next(root.glob("usr/share/doc/postgresql-doc-*/html"))
    for path in sorted(folder.glob("*.html")):
        if path.name.startswith(("release", "bookindex", "biblio", "index")):
            continue
        purpose = ""
        for number, (heading, text) in enumerate(_html_sections(path)):
            if text.startswith(f"{heading} — "):  # "ALTER TABLE — change the definition of a table"
                purpose = text.removeprefix(f"{heading} — ")
                continue
            if heading == "Description" and purpose:
                heading = purpose
            yield Section(f"{path.stem}-{number}", heading, text)


def parse_anarchist_faq(root: pathlib.Path) -> Iterator[Section]:
    for path in sorted((root / "usr/share/doc/anarchism/html").glob("sec*.html")):
        for number, (heading, text) in enumerate(_html_sections(path)):
            text = re.sub(r"\[[^\]]*\bp+\. [^\]]*\]", "", text)  # "[Anarchism, p. 284]"
            yield Section(f"{path.stem}-{number}", heading, squeeze(text))


# --- man pages: roff with the macros of man(7) --------------------------------------------------------------

_ROFF_CHARACTERS = {"aq": "'", "dq": '"', "en": "-", "em": "-", "bu": "", "ha": "^", "ti": "~", "co": "(C)"}
# What every page has, under headings that tell nothing about it.
_MAN_FRAME = (
    "NAME LIBRARY SYNOPSIS ERRORS ATTRIBUTES STANDARDS HISTORY BUGS EXAMPLES FILES VERSIONS AUTHORS COPYRIGHT"
).split() + ["RETURN VALUE", "SEE ALSO", "EXIT STATUS", "REPORTING BUGS"]


def parse_man_pages(root: pathlib.Path) -> Iterator[Section]:
    for path in sorted(root.glob("usr/share/man/man[0-9]/*.gz")):
        page = path.name.removesuffix(".gz")
        lines = gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines()
        purpose = ""
        for number, (heading, text) in enumerate(_roff_sections(lines)):
            if heading == "NAME":
                purpose = text.rpartition(" - ")[2]
            elif heading == "DESCRIPTION":
                yield Section(f"{page}-{number}", purpose, text)
            elif heading not in _MAN_FRAME and not heading.endswith("()"):
                heading = heading.capitalize() if heading.isupper() else heading
                yield Section(f"{page}-{number}", heading, text)


def _roff_sections(lines: list[str]) -> Iterator[tuple[str, str]]:
    heading, words, closer = "", [], None
    for line in lines:
        if closer:  # inside code or a table
            closer = None if line.startswith(closer) else closer
            continue
        macro, _, arguments = line.partition(" ")
        if macro in (".SH", ".SS"):
            yield heading, squeeze(" ".join(words))
            heading, words = _roff_text(" ".join(_roff_arguments(arguments))), []
        elif macro in (".nf", ".EX", ".TS"):
            closer = {".nf": ".fi", ".EX": ".EE", ".TS": ".TE"}[macro]
        elif macro in (".B", ".I", ".SM", ".SB"):
            words.append(_roff_text(" ".join(_roff_arguments(arguments))))
        elif macro in (".BR", ".RB", ".BI", ".IB", ".IR", ".RI"):  # fonts alternate, nothing stands between
            words.append(_roff_text("".join(_roff_arguments(arguments))))
        elif not line.startswith((".", "'")):
            words.append(_roff_text(line))
    yield heading, squeeze(" ".join(words))


def _roff_arguments(arguments: str) -> list[str]:
    found = re.findall(r'"((?:[^"]|"")*)"|(\S+)', arguments)
    return [quoted.replace('""', '"') or bare for quoted, bare in found]


def _roff_text(text: str) -> str:
    text = re.sub(r'\\".*', "", text)
    text = re.sub(r"\\f(\[[^\]]*\]|\(..|.)|\\[&/,|^%:)cp]|\\s[-+]?\d", "", text)
    text = re.sub(
        r"\\\((..)|\\\[([^\]]*)\]", lambda match: _ROFF_CHARACTERS.get(match[1] or match[2], ""), text
    )
    return text.replace(r"\-", "-").replace(r"\ ", " ").replace(r"\e", "\\").replace(r"\~", " ")


# --- WordNet: one synset a line, "offset file pos count word lex_id ... | gloss; examples" ------------------


def parse_wordnet_nouns(root: pathlib.Path, lexicographer_files: tuple[int, ...]) -> Iterator[Section]:
    """Synsets of the given files (5: animals, 20: plants), described by what they are a kind of."""
    synsets = {}
    for line in (root / "usr/share/wordnet/data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        data, _, gloss = line.partition(" | ")
        fields = data.split(" ")
        word_count = int(fields[3], 16)
        names = [name.replace("_", " ") for name in fields[4 : 4 + 2 * word_count : 2]]
        pointers = fields[5 + 2 * word_count :]
        kinds = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] == "@"]
        synsets[fields[0]] = (int(fields[1]), names, kinds, gloss.split('; "')[0].strip())
    for offset, (file, (name, *others), kinds, gloss) in synsets.items():
        if file in lexicographer_files:
            also = f"Also called {', '.join(others)}. " if others else ""
            kind = f" A kind of {synsets[kinds[0]][1][0]}." if kinds else ""
            yield Section(f"n{offset}", name, f"{also}{gloss[:1].upper()}{gloss[1:]}.{kind}")


# --- KiCad symbol libraries: S-expressions, one property a line ---------------------------------------------


def parse_kicad_symbols(root: pathlib.Path) -> Iterator[Section]:
    """Parts, looked up by their keywords and described by their library and description."""
    line_of_interest = re.compile(
        r'^  \(symbol "(?P<part>[^"]*)"|^    \(property "ki_(?P<key>keywords|description)" "(?P<value>.*?)" \(id'
    )
    for path in sorted((root / "usr/share/kicad/symbols").glob("*.kicad_sym")):
        parts: dict[str, dict[str, str]] = {}
        with path.open(encoding="utf-8") as file:
            for line in file:
                match = line_of_interest.match(line)
                if match and match["part"]:
                    properties = parts.setdefault(match["part"], {})
                elif match and parts:
                    properties[match["key"]] = match["value"]
        kind = path.stem.replace("_", " ")
        for part, properties in parts.items():
            if "description" in properties:
                text = f"{part}, {kind}: {properties['description']}"
                yield Section(f"{path.stem}-{part}", properties.get("keywords", ""), text)
