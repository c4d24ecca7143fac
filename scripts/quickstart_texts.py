#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the quickstart's corpora and judged queries from the texts of Debian packages.

Unpacks the packages under the output folder (no root needed) and writes, for each of six domains,

    DOMAIN/corpus.jsonl                            {"_id", "text", "metadata": {"heading", "package"}}
    DOMAIN/queries.{train,validation,test}.jsonl   {"_id", "text"}
    DOMAIN/qrels.{train,validation,test}.tsv       query-id, corpus-id, score

A query is the heading of a section, and the section's passages are what it should find. The heading is taken
out of those passages, so that finding them needs more than matching it word by word. The same packages give
the same files.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

import text_parsers
from text_parsers import Section

DOMAINS: dict[str, tuple[tuple[str, ...], Callable[[pathlib.Path], Iterator[Section]]]] = {
    "computing": (("dict-foldoc",), functools.partial(text_parsers.parse_dictd, name="foldoc")),
    "databases": (("postgresql-doc-15",), text_parsers.parse_postgresql_manual),
    "unix-api": (("manpages", "manpages-dev"), text_parsers.parse_man_pages),
    "politics": (("anarchism",), text_parsers.parse_anarchist_faq),
    "nature": (
        ("wordnet-base",),
        functools.partial(text_parsers.parse_wordnet_nouns, lexicographer_files=(5, 20)),
    ),
    "electronics": (("kicad-symbols",), text_parsers.parse_kicad_symbols),
}
SPLITS = ("train", "validation", "test")

WORDS_PER_PASSAGE = 80  # fits the encoder's 128 tokens
PASSAGES_PER_SECTION = 3
ASKABLE_SHARE = 0.7  # of the passages; the others only stand in the way, as in a real collection
SECTIONS_PER_HEADING = 3  # a heading that more sections share names none of them
FEWEST_WORDS = 5


@dataclasses.dataclass(frozen=True)
class Passage:
    id: str
    text: str
    heading: str
    package: str
    is_askable: bool  # its heading is a query, and does not occur in its text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="where to write; packages are kept in it too")
    parser.add_argument("--documents", type=int, default=1000, help="at most this many a domain")
    options = parser.parse_args()
    folder = options.folder.resolve()
    try:
        unpack(sorted({name for names, _ in DOMAINS.values() for name in names}), folder / "packages")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"quickstart_texts: unpacking Debian packages: {error}", file=sys.stderr)
        return 1
    for domain, (packages, parse) in DOMAINS.items():
        sections = ((name, section) for name in packages for section in parse(folder / "packages" / name))
        passages = choose(sections, options.documents)
        print(f"{domain:12} {len(passages):5} passages; queries: {write(folder / domain, passages)}")
    return 0


def unpack(names: Iterable[str], folder: pathlib.Path) -> None:
    """Downloads and unpacks packages into folder/NAME, unless they are there already."""
    missing = [name for name in names if not (folder / name).is_dir()]
    if not missing:
        return
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    # Root would otherwise be warned that the user `_apt` may not write here.
    own_user = ["-q", "-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}"]
    try:
        run(["apt-get", *own_user, "download", *missing], downloads)
    except subprocess.CalledProcessError:
        # The system's package lists are absent or old. Fetch some of our own, which needs no root.
        state = folder / "apt"
        (state / "lists/partial").mkdir(parents=True, exist_ok=True)
        (state / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        own_lists = [*own_user, "-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        run(["apt-get", *own_lists, "update"], downloads)
        run(["apt-get", *own_lists, "download", *missing], downloads)
    for name in missing:
        unpacked = folder / f"{name}.partial"
        shutil.rmtree(unpacked, ignore_errors=True)
        archive = sorted(downloads.glob(f"{name}_*.deb"))[-1]
        run(["dpkg-deb", "-x", str(archive), str(unpacked)], folder)
        unpacked.rename(folder / name)


def run(command: list[str], folder: pathlib.Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def choose(sections: Iterable[tuple[str, Section]], document_limit: int) -> list[Passage]:
    """Draws passages by the hash of their section: most from sections that a query can ask for."""
    in_order = sorted(sections, key=lambda item: digest(item[1].id))
    sections_per_heading = collections.Counter(normalise(section.heading) for _, section in in_order)
    askable: list[Passage] = []
    others: list[Passage] = []
    seen_texts: set[str] = set()
    for package, section in in_order:
        is_rare = sections_per_heading[normalise(section.heading)] <= SECTIONS_PER_HEADING
        is_askable = is_rare and is_good_query(section.heading)
        text = without_heading(section.text, section.heading) if is_askable else section.text
        for number, passage in enumerate(cut(text)):
            if passage in seen_texts:
                continue
            seen_texts.add(passage)
            (askable if is_askable else others).append(
                Passage(f"{section.id}.{number}", passage, section.heading, package, is_askable)
            )
    share = int(ASKABLE_SHARE * document_limit)
    return (askable[:share] + others + askable[share:])[:document_limit]


def normalise(heading: str) -> str:
    return " ".join(re.findall(r"\w+", heading.lower()))


def is_good_query(heading: str) -> bool:
    words = re.findall(r"[^\W\d_]{3,}", heading)
    return len(words) >= 2 and 2 <= len(heading.split()) <= 25


def without_heading(text: str, heading: str) -> str:
    """Puts "this" where the text repeats its heading."""
    words = re.findall(r"\w+", heading)
    pattern = r"\b(?:(?:an?|the)\s+)?" + r"\W+".join(map(re.escape, words)) + r"\b"
    return re.sub(pattern, "this", text, flags=re.IGNORECASE)


def cut(text: str) -> list[str]:
    """The first passages of a text, cut between sentences where they are short enough."""
    pieces: list[list[str]] = [[]]
    for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z\"'(])", text):
        words = sentence.split()
        if len(pieces[-1]) + len(words) > WORDS_PER_PASSAGE:
            pieces.append([])
        while len(words) > WORDS_PER_PASSAGE:
            pieces[-1] = words[:WORDS_PER_PASSAGE]
            words = words[WORDS_PER_PASSAGE:]
            pieces.append([])
        pieces[-1] += words
    return [" ".join(words) for words in pieces if len(words) >= FEWEST_WORDS][:PASSAGES_PER_SECTION]


def split_of(query_key: str) -> str:
    """60 % train, 20 % validation, 20 % test, by the query itself."""
    return SPLITS[(0, 0, 0, 1, 2)[int(digest(query_key), 16) % 5]]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: pathlib.Path, passages: list[Passage]) -> str:
    """Writes a domain's files and says how many queries each split has."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json_lines(folder / "corpus.jsonl", [as_document(passage) for passage in passages])
    sought: dict[str, list[Passage]] = {}
    for passage in passages:
        if passage.is_askable:
            sought.setdefault(normalise(passage.heading), []).append(passage)
    counts = []
    for split in SPLITS:
        queries = {"q-" + digest(key)[:12]: found for key, found in sought.items() if split_of(key) == split}
        write_json_lines(
            folder / f"queries.{split}.jsonl",
            [{"_id": query_id, "text": found[0].heading} for query_id, found in queries.items()],
        )
        judged = [f"{query_id}\t{each.id}\t1" for query_id, found in queries.items() for each in found]
        write_lines(folder / f"qrels.{split}.tsv", ["query-id\tcorpus-id\tscore", *judged])
        counts.append(f"{len(queries)} {split}")
    return ", ".join(counts)


def as_document(passage: Passage) -> dict:
    metadata = {"heading": passage.heading, "package": passage.package}
    return {"_id": passage.id, "text": passage.text, "metadata": metadata}


def write_json_lines(path: pathlib.Path, rows: Iterable[dict]) -> None:
    write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))


def write_lines(path: pathlib.Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
