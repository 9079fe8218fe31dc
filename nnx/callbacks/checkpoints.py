"""Keeping a run on disk, so that it goes on where it was interrupted."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nnx.callbacks.base import Callback
from nnx.checks import check_count, check_number
from nnx.files import check_model_target, storing

if TYPE_CHECKING:
    from nnx.training import Run


class Checkpoint(Callback):
    """Keep the whole run in a file, from which `fit(..., resume=path)` goes on as if nothing had happened.

    The file is written after every epoch, and replaced as a whole. While a run is kept, Ctrl-C and SIGTERM first
    let the step end and the file be written; then the program's own handler is called, if it has one, or the
    program ends, with a line that says where the file is. A second signal ends at once; signals that are ignored
    stay ignored. Where the process is killed, the last file stands, and the next save removes what was being
    written beside it. The file is a model too: `nnx.load` reads it, with the weights of the last step, also where
    `EarlyStopping` puts the best ones back in the end. Give each run a path of its own: two that are kept in one
    file at once replace what the other has written, though the file is whole at any moment.

    Args:
        path: the file.
        every: write also after every so many training steps; None for after epochs only.
        interval: seconds that must have passed since the last time; the end, be it an interruption, is always
            written.
        keep_last: how many files to keep: before it is replaced, `run.h5` becomes `run.1.h5`, that `run.2.h5`.

    Raises:
        OptionError: path is a folder, in none that exists, or of the ending of another format, or an option is out
            of its range.

    In a script that may be started again and again:

        keep = nnx.callbacks.Checkpoint("run.h5", interval=60)
        resume = keep.path if keep.path.exists() else None
        model.fit(x, y, epochs=100, callbacks=[keep], resume=resume)
    """

    saves = True

    def __init__(
        self, path: str | Path, *, every: int | None = None, interval: float = 0.0, keep_last: int = 1
    ) -> None:
        """Check the options, before any work is done."""
        self.path = check_model_target(path)
        self.every = None if every is None else check_count("every", every)
        self.interval = check_number("interval", interval, 0)
        self.keep_last = check_count("keep_last", keep_last)
        self._saved = time.monotonic()

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self._saved = time.monotonic()

    def config(self) -> None:
        """See `Callback`; training does not depend on it."""

    def save(self, run: Run) -> None:
        """See `Callback`.

        Raises:
            StorageError: a file cannot be written; the newest that there was stays.
        """
        if run.ending or time.monotonic() - self._saved >= self.interval:
            self._keep_former()
            run.save(self.path)
            self._saved = time.monotonic()

    def _keep_former(self) -> None:
        """Give former files their next numbers; the newest is copied, as it keeps its own name until replaced."""
        if self.keep_last == 1 or not self.path.exists():
            return
        with storing(self._numbered(1)) as part:
            shutil.copyfile(self.path, part)
            for number in range(self.keep_last - 1, 1, -1):
                with suppress(FileNotFoundError):  # there have not been so many yet
                    self._numbered(number - 1).replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self.path.with_suffix(f".{number}{self.path.suffix}") if number else self.path
