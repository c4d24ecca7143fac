# SPDX-License-Identifier: Apache-2.0
"""The quickstart's parsers, on small files of their formats, and what it promises of its queries."""

import collections
import gzip
import json
import pathlib
import subprocess
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import quickstart_texts  # noqa: E402
import text_parsers  # noqa: E402
from text_parsers import Section  # noqa: E402


def put(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix in (".gz", ".dz") else data)


def test_dictd_definitions_are_found_by_offset_and_stripped_of_markup(tmp_path):
    first = "drop cable\nspur\n\n   <networking> A {cable} that joins\n   a station.\n\n   (1994-11-08)\n\n"
    second = "go (http://go.dev)\n\n   A language.\n"
    put(tmp_path / "usr/share/dictd/foldoc.dict.dz", first + second)
    # Numbers are base 64: A = 0, BC = 66.
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    begin = digits[len(first) // 64] + digits[len(first) % 64]
    lines = [f"drop cable\tA\t{begin}", f"go\t{begin}\t{digits[len(second)]}", f"spur\tA\t{begin}"]
    put(tmp_path / "usr/share/dictd/foldoc.index", "00-database-info\tA\tB\n" + "\n".join(lines) + "\n")
    assert list(text_parsers.parse_dictd(tmp_path, "foldoc")) == [
        Section("foldoc-0", "drop cable", "A cable that joins a station."),
        Section(f"foldoc-{len(first)}", "go (http://go.dev)", "A language."),
    ]


def test_postgresql_sections_follow_headings_and_reference_pages_their_purpose(tmp_path):
    folder = tmp_path / "usr/share/doc/postgresql-doc-15/html"
    put(
        folder / "mvcc.html",
        "<html><head><title>no</title></head><body><table><tr><td>Prev</td></tr></table>"
        "<h2>13.2. Transaction <em>Isolation</em></h2><p>Levels &amp; anomalies.</p><pre>SELECT 1;</pre>"
        "<p>More.</p></body></html>",
    )
    put(
        folder / "sql-drop.html",
        "<h2>DROP TABLE</h2><p>DROP TABLE — remove a table</p><h2>Synopsis</h2><p></p>"
        "<h2>Description</h2><p>It removes tables.</p>",
    )
    put(folder / "release-15.html", "<h2>Changes</h2><p>Many.</p>")
    sections = [each for each in text_parsers.parse_postgresql_manual(tmp_path) if each.text]
    assert sections == [
        Section("mvcc-1", "Transaction Isolation", "Levels & anomalies. More."),
        Section("sql-drop-3", "remove a table", "It removes tables."),
    ]


def test_anarchist_faq_loses_its_numbers_and_page_references(tmp_path):
    put(
        tmp_path / "usr/share/doc/anarchism/html/secA1.html",
        "<h2>A.1.2 What does it mean?</h2><p>No <b>rulers</b> [<b>Anarchism</b>, p. 284] at all [sic].</p>",
    )
    sections = [each for each in text_parsers.parse_anarchist_faq(tmp_path) if each.text]
    assert sections == [Section("secA1-1", "What does it mean?", "No rulers at all [sic].")]


def test_man_pages_lose_macros_fonts_code_and_frame(tmp_path):
    put(
        tmp_path / "usr/share/man/man2/dup.2.gz",
        '.\\" comment\n.TH dup 2\n.SH NAME\ndup \\- duplicate a file descriptor\n.SH SYNOPSIS\n.nf\nint dup();\n'
        ".fi\n.SH DESCRIPTION\nThe\n.BR dup ()\ncall gives \\fIoldfd\\fP a\n.IR twin .\n.EX\ncode\n.EE\nDone\\(em"
        'now.\n.SS "Sharing of ""offsets"""\nThey share\n.B "one offset"\n.SH RETURN VALUE\n\\-1 on error.\n',
    )
    assert list(text_parsers.parse_man_pages(tmp_path)) == [
        Section("dup.2-0", "", ""),
        Section("dup.2-3", "duplicate a file descriptor", "The dup() call gives oldfd a twin. Done-now."),
        Section("dup.2-4", 'Sharing of "offsets"', "They share one offset"),
    ]


def test_wordnet_synsets_of_the_wanted_files_name_their_kind(tmp_path):
    put(
        tmp_path / "usr/share/wordnet/data.noun",
        "  1 licence\n"
        "00000010 05 n 01 heron 0 000 | wading bird\n"
        "00000020 05 n 02 snowy_egret 0 Egretta_thula 0 002 @ 00000010 n 0000 ~ 00000030 n 0000 "
        '| small egret of the New World; "it waded"\n'
        "00000030 06 n 01 egret_trap 0 001 @ 00000010 n 0000 | a trap\n",
    )
    assert list(text_parsers.parse_wordnet_nouns(tmp_path, (5,))) == [
        Section("n00000010", "heron", "Wading bird."),
        Section(
            "n00000020",
            "snowy egret",
            "Also called Egretta thula. Small egret of the New World. A kind of heron.",
        ),
    ]


def test_kicad_parts_are_read_with_their_library(tmp_path):
    put(
        tmp_path / "usr/share/kicad/symbols/Amplifier_Audio.kicad_sym",
        '(kicad_symbol_lib\n  (symbol "IR4301" (in_bom yes)\n'
        '    (property "ki_keywords" "class d amplifier" (id 4)\n'
        '    (property "ki_description" "160W amplifier" (id 5)\n    (symbol "IR4301_0_1"\n'
        '  (symbol "Bare" (in_bom yes)\n',
    )
    assert list(text_parsers.parse_kicad_symbols(tmp_path)) == [
        Section("Amplifier_Audio-IR4301", "class d amplifier", "IR4301, Amplifier Audio: 160W amplifier"),
    ]


def test_heading_is_taken_out_of_the_text_whatever_its_case_and_spacing():
    text = "A Drop  Cable is short. The drop-cable joins drop cables."
    assert quickstart_texts.without_heading(text, "drop cable") == "this is short. this joins drop cables."


def test_passages_end_between_sentences_and_stay_short():
    sentence = "One two three four five six seven eight nine ten. "
    pieces = quickstart_texts.cut(sentence * 20)
    assert [len(piece.split()) for piece in pieces] == [80, 80, 40]
    assert all(piece.endswith("ten.") for piece in pieces)
    assert [len(piece.split()) for piece in quickstart_texts.cut("word " * 170)] == [80, 80, 10]
    assert quickstart_texts.cut("Too few words.") == []


@pytest.mark.parametrize(
    "heading, is_good",
    [
        ("Introduction", False),
        ("dual-stack", False),
        ("SPI_commit", False),
        ("C 99", False),
        ("drop cable", True),
        ("What is anarchism?", True),
        ("so " * 5, False),
        ("many words " * 13, False),
    ],
)
def test_queries_have_two_real_words(heading, is_good):
    assert quickstart_texts.is_good_query(heading) is is_good


def sections_of(count):
    """`count` sections with headings of their own, one heading that four share, one that two share."""
    own = [Section(f"s{i}", f"heading number {i} alpha", f"Text {i} is about heading number {i} alpha and more.")
           for i in range(count)]  # fmt: skip
    shared = [
        Section(f"t{i}", "general remarks", f"Some remarks in general, of no {i} use.") for i in range(4)
    ]
    twins = [Section(f"u{i}", "Twin topics" if i else "twin topics", f"One of a pair, with {i} in it.")
             for i in range(2)]  # fmt: skip
    return [("package", section) for section in own + shared + twins]


def test_choice_fills_up_to_the_limit_and_repeats_itself():
    chosen = quickstart_texts.choose(sections_of(200), 50)
    assert len(chosen) == 50
    assert chosen == quickstart_texts.choose(reversed(sections_of(200)), 50)
    assert sum(not passage.is_askable for passage in chosen) == 4  # all there are
    assert len(quickstart_texts.choose(sections_of(10), 50)) == 16


def test_written_queries_are_unique_disjoint_and_hidden_from_their_passages(tmp_path):
    quickstart_texts.write(tmp_path, quickstart_texts.choose(sections_of(200), 500))
    documents = read(tmp_path / "corpus.jsonl")
    texts = {document["_id"]: document["text"] for document in documents}
    assert len(texts) == len(documents) == 206
    counts = collections.Counter()
    all_queries = []
    for split in quickstart_texts.SPLITS:
        queries = {query["_id"]: query["text"] for query in read(tmp_path / f"queries.{split}.jsonl")}
        header, *judged = (tmp_path / f"qrels.{split}.tsv").read_text().splitlines()
        assert header == "query-id\tcorpus-id\tscore"
        assert {line.split("\t")[0] for line in judged} == set(queries)
        for line in judged:
            query_id, document_id, score = line.split("\t")
            assert score == "1"
            assert queries[query_id].lower() not in texts[document_id].lower()
        counts[split] = len(queries)
        all_queries += queries.values()
    assert len({query.lower() for query in all_queries}) == len(all_queries) == 201
    assert counts["train"] > counts["validation"] > 20
    assert counts["train"] > counts["test"] > 20
    assert "general remarks" not in all_queries


def read(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_failed_unpacking_is_one_clear_line(tmp_path):
    (tmp_path / "packages").write_text("a file where a folder must go")
    script = [sys.executable, str(SCRIPTS / "quickstart_texts.py"), str(tmp_path)]
    finished = subprocess.run(script, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("quickstart_texts: unpacking Debian packages: ")
    assert finished.stderr.count("\n") == 1
