"""What GPTCache keeps in a directory: questions and answers from its SQLite file, read-only.

Its tables are `gptcache_question`, `…_answer`, `…_question_dep`, `…_session` and `…_report` (its
scalar_data/sql_storage.py). The vector index beside them is not needed: questions are encoded anew.
Its map manager keeps a pickle (`data_map.txt`), which would run whatever code somebody put into it:
that is never read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from semcache.errors import ConfigError
from semcache.transfer.foreign import Foreign

_DATABASE, _PICKLE = "sqlite.db", "data_map.txt"
_NAME = re.compile(r"([A-Za-z0-9_]+)_question")
_TEXT = 0  # GPTCache's DataType.STR
_BATCH = 500

Note = Callable[[str, int], None]
Refuse = Callable[[int, str], None]


class GptcacheFolder:
    """A directory of GPTCache's, or its SQLite file. Raises ConfigError where it is none."""

    def __init__(self, path: Path) -> None:
        self._file = path / _DATABASE if path.is_dir() else path
        if not self._file.is_file():
            if (path / _PICKLE).exists():
                raise ConfigError(
                    f"{path} holds a pickle ({_PICKLE}), which could run any code when it is "
                    "read: semcache never does. Put its questions and answers into JSON lines "
                    "with GPTCache itself, and store them with 'semcache warm'."
                )
            raise ConfigError(f"There is no {_DATABASE} of GPTCache in {path}.")
        try:
            with closing(self._opened()) as db:
                self._prefix = _prefix(db)
                if self._prefix is not None:
                    query = f"SELECT count(*) FROM {self._prefix}_question"  # noqa: S608 - checked
                    self.count = int(db.execute(query).fetchone()[0])
        except sqlite3.Error as error:
            raise ConfigError(f"{self._file} cannot be read: {error}.") from None
        if self._prefix is None:
            raise ConfigError(f"{self._file} has no tables of GPTCache.")

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self._file.resolve()))}?mode=ro", uri=True)

    def read(self, note: Note, refuse: Refuse) -> Iterator[Foreign | None]:
        """Each question by ascending id: None for one that is left out.

        `note` hears how many of what is left out on purpose, `refuse` what cannot be taken.
        """
        last = 0
        try:
            with closing(self._opened()) as db:
                self._say_what_stays(db, note)
                while rows := db.execute(self._questions(), (last, _BATCH)).fetchall():
                    last = rows[-1][0]
                    for row in rows:
                        yield self._one(db, row, note, refuse)
        except sqlite3.Error as error:
            raise ConfigError(f"{self._file} cannot be read: {error}.") from None

    def _questions(self) -> str:
        columns = "id, question, create_on, last_access, deleted"
        return f"SELECT {columns} FROM {self._prefix}_question WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608

    def _say_what_stays(self, db: sqlite3.Connection, note: Note) -> None:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema").fetchall()}
        for table, what in (("session", "session rows"), ("report", "report rows")):
            if (name := f"{self._prefix}_{table}") in tables:
                count = int(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608
                note(what, count)

    def _one(
        self, db: sqlite3.Connection, row: tuple[Any, ...], note: Note, refuse: Refuse
    ) -> Foreign | None:
        number, question, created, used, deleted = row
        if deleted:
            note("deleted questions", 1)
            return None
        query = f"SELECT count(*) FROM {self._prefix}_question_dep WHERE question_id = ?"  # noqa: S608
        if db.execute(query, (number,)).fetchone()[0]:
            refuse(number, "It depends on more than its text, an image perhaps.")
            return None
        query = (
            f"SELECT answer, answer_type FROM {self._prefix}_answer"  # noqa: S608 - checked
            " WHERE question_id = ? ORDER BY id"
        )
        answers = db.execute(query, (number,)).fetchall()
        texts = [said for said, kind in answers if kind == _TEXT and isinstance(said, str) and said]
        if not texts or not isinstance(question, str):
            refuse(number, "It has no answer that is a text.")
            return None
        if len(answers) > 1:
            note("further answers of a question", len(answers) - 1)
        made = self._time(created)
        return Foreign(number, question, texts[0], made, max(made, self._time(used)))

    def _time(self, said: Any) -> float:
        """GPTCache notes the machine's local time, without its zone; the file's own otherwise."""
        try:
            return datetime.fromisoformat(said).timestamp()
        except (TypeError, ValueError):
            return self._file.stat().st_mtime


def _prefix(db: sqlite3.Connection) -> str | None:
    """What the names of the tables begin with: GPTCache lets one choose it."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    names = {str(row[0]) for row in db.execute(query).fetchall()}
    found = [match[1] for name in sorted(names) if (match := _NAME.fullmatch(name))]
    ours = [one for one in found if {f"{one}_answer", f"{one}_question_dep"} <= names]
    return "gptcache" if "gptcache" in ours else next(iter(ours), None)
