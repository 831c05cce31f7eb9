"""The rows of a run that isn't whole yet: `.NAME.part` beside the output, a line of JSON each, behind what they are of.

However the run ends, the journal has its first rows, each whole; a run that is resumed goes on behind them. The output
is made of it at the end: so that it is the same file, byte for byte, however often the run was ended.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from app.score.errors import UsageError
from app.score.files import shown
from app.score.row import Row
from model.locks import locked_by_another

_FORM: Final = 1
"""Of the journal's lines: another program's isn't gone on with."""


class Run(msgspec.Struct, frozen=True):
    """What a run's rows depend on, beside the files."""

    model: str
    version: int
    source: str
    """Where they were inspected: local, or the service's address."""
    serving: str = ""
    """What was in force: SHA-256 of serving.json's content, and the variant."""
    images: str = ""
    """Kind of heatmaps that were written, and where."""
    timing: bool = False
    form: int = _FORM


class Journal:
    """Use it in a `with`: it is another run's for nobody meanwhile."""

    def __init__(self, output: Path, *, resume: bool) -> None:
        """Raises UsageError where the output, or a journal that isn't to be resumed, is there already."""
        self.output = output
        self.path = self.path_of(output)
        self.run: Run | None = None
        """Of the run that is resumed; None: there is none."""
        self._rows_begin = 0
        if output.exists() and not self.path.exists():
            raise UsageError(f"{output} is there already: remove it, or choose another --out")
        try:
            self._file: BinaryIO = open(self.path, "a+b", buffering=0)  # noqa: SIM115  # closed by __exit__
            self._lock()
            self._recover()
        except OSError as error:
            raise UsageError(f"--out {output} can't be written: {error.strerror}") from None
        if self.run and not resume:
            self._file.close()
            raise UsageError(f"{output} was begun: --resume goes on with it; remove {self.path} to begin anew")

    @staticmethod
    def path_of(output: Path) -> Path:
        return output.with_name(f".{output.name}.part")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """Without a row there is nothing to go on with."""
        if os.fstat(self._file.fileno()).st_size == self._rows_begin:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def begin(self, run: Run) -> None:
        """Raises UsageError where what is resumed was another run."""
        if self.run is None:
            self._file.write(msgspec.json.encode(run) + b"\n")
            self._rows_begin = self._file.tell()
            self.run = run
        elif self.run != run:
            before, now = msgspec.to_builtins(self.run), msgspec.to_builtins(run)
            other = ", ".join(
                f"{name} {before[name]!r}, now {now[name]!r}" for name in now if before[name] != now[name]
            )
            raise UsageError(f"{self.output} was begun otherwise ({other}): remove {self.path} to begin anew")

    def rows(self) -> Iterator[Row]:
        """Those that are there."""
        with open(self.path, "rb") as file:
            file.seek(self._rows_begin)
            yield from map(msgspec.json.Decoder(Row).decode, file)

    def skip(self, files: Iterator[str]) -> int:
        """Take from `files` those that have rows, and return how many. Raises UsageError where they are others."""
        number = 0
        for number, row in enumerate(self.rows(), 1):
            file = next(files, None)
            if file is None or shown(file) != row.file:
                raise UsageError(
                    f"the files aren't those with which {self.output} was begun: file {number} was {row.file}, now it "
                    f"is {'none' if file is None else shown(file)}; remove {self.path} to begin anew"
                )
        return number

    def append(self, row: Row) -> None:
        self._file.write(msgspec.json.encode(row) + b"\n")

    def publish(self, write: Callable[[Iterable[Row], BinaryIO, bool], None], rows: Iterable[Row]) -> None:
        """Make the output, whole, of `rows`; then the journal is gone."""
        draft = self.output.with_name(f".{self.output.name}.draft")
        assert self.run
        with open(draft, "wb") as file:
            write(rows, file, self.run.timing)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self.output)
        self.path.unlink()

    def _lock(self) -> None:
        """Raises UsageError where another run has it, or has just made the output of it."""
        descriptor = self._file.fileno()
        with suppress(FileNotFoundError):
            if not locked_by_another(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                return
        self._file.close()
        raise UsageError(f"another run writes {self.output}")

    def _recover(self) -> None:
        """Take off what was being written when the run ended."""
        whole, decode = 0, msgspec.json.decode
        with open(self.path, "rb") as file, suppress(msgspec.MsgspecError, ValueError):
            for line in file:
                if not line.endswith(b"\n"):
                    break
                kind: Any = Row if whole else Run
                content = decode(line, type=kind)
                if not whole:
                    self.run = content
                whole += len(line)
                self._rows_begin = self._rows_begin or whole
        self._file.truncate(whole)
