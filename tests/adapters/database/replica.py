"""A program that does what Litestream does: keeps a reading transaction, copies the journal, and folds it itself."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from pathlib import Path
from types import TracebackType

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


class Replica:
    """A copy of the file as it began, and of every frame of its journal since, in their order.

    The format is SQLite's own (sqlite.org/fileformat2.html#walformat).
    """

    def __init__(self, path: Path, folder: Path, *, begun: bool = False) -> None:
        """Follow the database at `path`; one that has `begun` goes on where it was."""
        self.folded = 0
        self._path = path
        self._folder = folder
        self._reader = sqlite3.connect(path, isolation_level=None)
        self._folder.mkdir(exist_ok=True)
        self._reader.execute("PRAGMA wal_autocheckpoint = 0")
        self._reader.execute("PRAGMA journal_mode = WAL")
        self._reader.execute("CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        self._read()
        if not begun:
            shutil.copy(path, folder / "base")

    def __enter__(self) -> Replica:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Let go as a killed program does: a connection that may write would fold the journal when it is the last.
        self._reader.execute("ROLLBACK")
        keeper = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
        keeper.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        self._reader.close()
        keeper.close()

    def copy(self) -> None:
        """Copy the journal as it is; each beginning of it, which has salts of its own, is a file."""
        journal = self._path.with_name(f"{self._path.name}-wal").read_bytes()
        salts = journal[16:24].hex()
        known = sorted(self._folder.glob("*.journal"))
        name = next((each.name for each in known if salts in each.name), f"{len(known):08d}-{salts}.journal")
        (self._folder / name).write_bytes(journal)

    def fold(self) -> None:
        """Write the journal into the file while nobody writes, so that no frame is between copy and checkpoint."""
        self._reader.execute("ROLLBACK")
        writer = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        keeper = sqlite3.connect(self._path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        self.copy()
        busy, frames, done = keeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        writer.execute("INSERT INTO _litestream_seq (seq) VALUES (1)")
        writer.execute("COMMIT")
        assert not busy
        assert frames == done
        self.folded += done
        self._read()
        writer.close()
        keeper.close()

    def restore(self, target: Path) -> Path:
        """Build the database from what was copied, and nothing else."""
        content = bytearray((self._folder / "base").read_bytes())
        for segment in sorted(self._folder.glob("*.journal")):
            content = _applied(content, segment.read_bytes())
        target.write_bytes(content)
        return target

    def _read(self) -> None:
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT COUNT(*) FROM _litestream_seq").fetchone()


def _applied(content: bytearray, journal: bytes) -> bytearray:
    """Write the frames of one journal, up to its last whole transaction, into the file."""
    size = struct.unpack(">I", journal[8:12])[0]
    salts = journal[16:24]
    pages: dict[int, bytes] = {}
    at = HEADER_BYTES
    while at + FRAME_HEADER_BYTES + size <= len(journal):
        number, after, salt = struct.unpack(">II8s", journal[at : at + 16])
        if salt != salts:
            break  # what follows is left from an earlier journal in the same file
        start = at + FRAME_HEADER_BYTES
        pages[number] = journal[start : start + size]
        at = start + size
        if after:
            content.extend(bytes(max(0, after * size - len(content))))
            for each, page in pages.items():
                content[(each - 1) * size : each * size] = page
            del content[after * size :]
            pages = {}
    return content
