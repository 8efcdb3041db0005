"""Passages by their words: BM25 over an index in memory (tantivy).

English words by their stems, Chinese, Japanese and Korean by pairs of neighbouring characters,
which needs no dictionary and misses no word. The index is made of the catalogue's passages when it
is opened (100,000 in seconds) and kept up to date after that: nothing on disk can disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log1p

import tantivy

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_CJK}]+")
_ID, _WORDS, _PAIRS = "id", "words", "pairs"
_HEAP_BYTES = 50_000_000
_LONGEST_WORD = 64
_FREQUENT_SHARE = 0.25
_LEAST_TERMS = 4
_MOST_TERMS = 64


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a pair of a question, and how many passages have it.

    `weight`: BM25's inverse document frequency (Robertson and Spärck Jones, as Lucene has it); a
    quarter of it for a pair that no passage has, which may be no word at all.
    """

    field: str
    text: str
    count: int
    weight: float


class LexicalIndex:
    """Updated by one thread; what `state` gives out is searched by any."""

    def __init__(self) -> None:
        schema = tantivy.SchemaBuilder()
        schema.add_integer_field(_ID, indexed=True, fast=True)
        schema.add_text_field(_WORDS, tokenizer_name=_WORDS, index_option="freq")
        schema.add_text_field(_PAIRS, tokenizer_name=_PAIRS, index_option="freq")
        self._index = tantivy.Index(schema.build())
        self._index.register_tokenizer(_WORDS, _words())
        self._index.register_tokenizer(_PAIRS, _pairs())
        self._index.config_reader("manual")

    def apply(self, added: Iterable[tuple[int, str]], removed: Iterable[int]) -> None:
        """Remove ids, then add (id, text)."""
        writer = self._index.writer(_HEAP_BYTES, 1)
        for one in removed:
            writer.delete_documents_by_term(_ID, one)
        for one, text in added:
            words, pairs = split_scripts(text)
            writer.add_document(tantivy.Document(id=one, words=words, pairs=pairs))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def state(self) -> LexicalState:
        """What it holds now, whatever is applied later."""
        return LexicalState(self._index.schema, self._index.searcher())


class LexicalState:
    """An immutable state of the index. Safe for threads."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher) -> None:
        self._schema = schema
        self._searcher = searcher
        self._analyzers = {_WORDS: _words(), _PAIRS: _pairs()}

    def terms(self, question: str) -> list[Term]:
        """The question's terms, each once, the rarest first.

        Words of every fourth passage say nothing beside rarer ones and cost the most: they go.
        """
        found = [self._term(field, text) for field, text in dict.fromkeys(self._analysed(question))]
        found.sort(key=lambda term: -term.weight)
        frequent = self._searcher.num_docs * _FREQUENT_SHARE
        kept = [at for at, term in enumerate(found) if at < _LEAST_TERMS or term.count <= frequent]
        return [found[at] for at in kept[:_MOST_TERMS]]

    def _term(self, field: str, text: str) -> Term:
        count = self._searcher.doc_freq(field, text)
        passages = self._searcher.num_docs
        weight = log1p((passages - count + 0.5) / (count + 0.5))
        return Term(field, text, count, weight if count or field == _WORDS else weight / 4)

    def search(self, terms: Sequence[Term], k: int) -> list[tuple[int, float]]:
        """(id, BM25) of the k best passages that have one of the terms, best first."""
        return self._found(self._scored(terms), k)

    def scores(self, terms: Sequence[Term], ids: Sequence[int]) -> dict[int, float]:
        """The BM25 of these passages; 0 for one that has none of the terms."""
        only = tantivy.Query.term_set_query(self._schema, _ID, ids)
        chosen = (tantivy.Occur.Must, tantivy.Query.const_score_query(only, 0.0))
        return dict(self._found([chosen, *self._scored(terms)], max(1, len(ids))))

    def _scored(self, terms: Sequence[Term]) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        queries = (
            tantivy.Query.term_query(self._schema, term.field, term.text, "freq")
            for term in terms
            if term.count
        )
        return [(tantivy.Occur.Should, query) for query in queries]

    def _found(
        self, queries: Sequence[tuple[tantivy.Occur, tantivy.Query]], k: int
    ) -> list[tuple[int, float]]:
        if not queries:
            return []
        hits = self._searcher.search(tantivy.Query.boolean_query(queries), k, count=False).hits
        ids = self._searcher.fast_field_values(_ID, [address for _, address in hits])
        scores = [float(score or 0) for score, _ in hits]
        return [(int(one or 0), score) for one, score in zip(ids, scores, strict=True)]

    def _analysed(self, text: str) -> list[tuple[str, str]]:
        parts = zip((_WORDS, _PAIRS), split_scripts(text), strict=True)
        return [
            (field, word)
            for field, part in parts
            if part
            for word in self._analyzers[field].analyze(part)
        ]


def split_scripts(text: str) -> tuple[str, str]:
    """What is written with spaces between words, and the character pairs of what is not."""
    if text.isascii():
        return text, ""
    pairs: list[str] = []

    def take(run: re.Match[str]) -> str:
        chars = run.group()
        pairs.extend(chars[at : at + 2] for at in range(max(1, len(chars) - 1)))
        return " "

    return _RUN.sub(take, text), " ".join(pairs)


def _words() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for one in (
        tantivy.Filter.remove_long(_LONGEST_WORD),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.custom_stopword(_STOPWORDS),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(one)
    return builder.build()


def _pairs() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


_STOPWORDS = (
    "a an and are as at be been by can could did do does for from had has have he her his how i if "
    "in into is it its me my of on or our please she should so than that the their them then there "
    "these they this those to us was we were what when where which who whom whose why will with "
    "would you your tell s t"
).split()
