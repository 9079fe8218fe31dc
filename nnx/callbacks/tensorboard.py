"""Events for TensorBoard, written by the library tensorboardX."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.callbacks.base import Callback, Logs
from nnx.checks import check_count, check_flag
from nnx.errors import MissingLibraryError, OptionError
from nnx.files import check_path, told_in_a_sentence

if TYPE_CHECKING:
    from nnx.training import Run

_BINS = 60
"""Of a histogram; TensorBoard shows about half as many."""

_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.")


class TensorBoard(Callback):
    """Write what training measures as events, for `tensorboard --logdir FOLDER`.

    Every measurement of an epoch is a curve under "epoch/", the learning rate and the seconds among them. With
    `every`, those of so many steps are under "steps/"; with `histograms`, each parameter is under "weights/". The
    axis of all of them counts the training steps that the model has done, in earlier calls of `fit` too. A run that
    goes on from a checkpoint goes on in its curves: what the folder holds of later steps is void, and TensorBoard
    drops it. Give each model a folder of its own; one that begins anew makes void all that stands in its folder.

    Events are on the disk when the method that wrote them returns, which takes some milliseconds on a slow disk.

    Args:
        folder: where the event files go, one for each call of `fit`; it is made if it does not exist.
        every: write also after every so many training steps; None for after epochs only. The validation examples
            are then measured as often.
        histograms: whether to write, after each epoch, how the values of each parameter are distributed.

    Raises:
        OptionError: folder is a file, or every is less than 1.
        MissingLibraryError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, *, every: int | None = None, histograms: bool = False) -> None:
        """Check the options, before any work is done."""
        self.folder = check_path(folder, "folder")
        if self.folder.exists() and not self.folder.is_dir():
            raise OptionError(f"folder must be one, or not exist yet, got the file {str(self.folder)!r}.")
        self.every = None if every is None else check_count("every", every)
        self.histograms = check_flag("histograms", histograms)
        _library()  # now rather than after the first epoch; a callback that held it could not be copied
        self._file: Any = None

    def config(self) -> None:
        """See `Callback`; training does not depend on it."""

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`.

        Raises:
            StorageError: the folder or the file cannot be made.
        """
        step = _step(run)
        with told_in_a_sentence(self.folder, "folder"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = _library().RecordWriter(str(self._new_path()))
        events = _library().proto.event_pb2
        begun = events.SessionLog(status=events.SessionLog.START)
        void_from = step + 1 if step else 0  # before the first step, everything that stands there is of another run
        self._write(0, file_version="brain.Event:2")
        self._write(void_from, session_log=begun)
        self._flush()

    def _new_path(self) -> Path:
        """Return the path of a file that TensorBoard reads after all others that are there."""
        stamps = [int(found[1]) for path in self.folder.iterdir() if (found := _NAME.match(path.name))]
        stamp = max([int(time.time()), *(former + 1 for former in stamps)])
        return self.folder.resolve() / f"events.out.tfevents.{stamp:010d}.nnx"

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`.

        Raises:
            StorageError: the events cannot be written, because the disk is full, for example.
        """
        del step  # of this run alone
        self._write_scalars("steps", _step(run), logs)
        self._flush()

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`.

        Raises:
            StorageError: as `on_steps`.
        """
        del epoch
        step = _step(run)
        self._write_scalars("epoch", step, logs)
        if self.histograms:
            for name, values in run.model.get_weights().items():
                self._write(step, summary=_library().summary.histogram(f"weights/{name}", values, _BINS))
        self._flush()

    def on_train_end(self, run: Run) -> None:
        """See `Callback`.

        Raises:
            StorageError: as `on_steps`.
        """
        del run
        file, self._file = self._file, None
        if file is not None:
            with told_in_a_sentence(self.folder, "folder"):
                file.close()

    def _write_scalars(self, group: str, step: int, logs: Logs) -> None:
        for name, value in logs.items():
            self._write(step, summary=_library().summary.scalar(f"{group}/{name}", float(value)))

    def _write(self, step: int, **contents: Any) -> None:
        event = _library().proto.event_pb2.Event(wall_time=time.time(), step=step, **contents)
        with told_in_a_sentence(self.folder, "folder"):
            self._file.write(event.SerializeToString())

    def _flush(self) -> None:
        with told_in_a_sentence(self.folder, "folder"):
            self._file.flush()


def _step(run: Run) -> int:
    """Return how many training steps the model has done."""
    return int(run.model.backend.to_numpy(run.model.step))


def _library() -> Any:
    """Return tensorboardX, used in parts: its whole writer has a thread, which hides errors of the disk."""
    try:
        import tensorboardX
        import tensorboardX.proto.event_pb2
        import tensorboardX.summary
    except ModuleNotFoundError as error:
        raise MissingLibraryError("tensorboardX", "TensorBoard's event files", "tensorboard") from error
    return tensorboardX
