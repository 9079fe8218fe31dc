"""The model: layers in sequence, their buffers on one backend, and what users do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx import training
from nnx.callbacks import Callback, check_callbacks
from nnx.checks import check_batch_size, check_count, check_flag, check_number
from nnx.distributed import find_team
from nnx.interface import Backend
from nnx.interrupts import before_training
from nnx.layers import Layer
from nnx.predictor import Predictor
from nnx.shortage import tells_where_memory_ended

if TYPE_CHECKING:
    from nnx.history import History
    from nnx.resumption import KeptRun


class Sequential(Predictor):
    """A network of layers, one after another.

    The model binds the backend that is selected when it is made; `to` moves it to another. Its weights are drawn
    when it is built: at once if `input_shape` is given, else by the first `fit`.

    Args:
        layers: the layers, from input to output.
        seed: decides initial weights, dropout masks and shuffles; 0 to 2^64 - 1.
        dtype: "float32" or "float64".
        input_shape: the shape of one example; needed only to use the model before `fit`.
        backend: a name or a `Backend`; by default the selected one.

    Raises:
        OptionError, UnknownNameError, ShapeError: an option is out of its range, or layers do not fit together.
        BackendUnavailableError: the backend cannot run here.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(3, activation="relu"), nnx.Dense(1)], seed=1, input_shape=(2,))
        >>> model.predict([[0.0, 0.0]]).shape
        (1, 1)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        seed: int = 0,
        dtype: str = "float32",
        input_shape: Sequence[int] | None = None,
        backend: str | Backend | None = None,
    ) -> None:
        """Take the layers; build if the input shape is known."""
        super().__init__(layers, seed, dtype, backend)
        self.metadata: dict[str, Any] = {}
        if input_shape is not None:
            self.build(input_shape)

    @tells_where_memory_ended("No step was done. Train on fewer examples, or with a smaller network.")
    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int | str = 32,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        lengths: Any = None,
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        eager: bool = False,
        progress: bool | None = None,
        resume: str | Path | None = None,
        distributed: bool = False,
    ) -> History:
        """Train the model; calling it again goes on where it ended.

        Args:
            x: (M, *input shape) numbers, of any number of steps T where all layers take any, as the recurrent do;
                whole numbers of 0 to V - 1 if the first layer takes tokens. An open h5py.Dataset, here and for y,
                stays in its file, whatever its size, and is read while training goes on; see `nnx.stored`.
            y: targets as the loss takes them: (M,) labels, (M, C) distributions, or (M, O) values; for outputs
                with more axes, such as (M, T, O), one per step: (M, T), (M, T, C) or (M, T, O).
            epochs: how many times to go through the examples; with resume, those done before are counted too.
            batch_size: examples per step, or "full" for all at once. A last, smaller batch is trained on too.
            validation_data: (x, y), or (x, y, lengths) where lengths are given, to measure after each epoch.
            validation_split: share of the examples, drawn by the seed, to set aside for that instead, in [0, 1).
            sample_weight: (M,) how much each example counts, or (M, T) how much each step.
            class_weight: how much each class counts, by label.
            lengths: (M,) how many steps of each sequence are real, 1 to T; see `nnx.pad_sequences`. Recurrent
                layers pass over the rest, and layers that would take it for steps are refused. Where outputs have
                steps, only real ones count: the loss of an epoch is the mean over its real steps, each step weighed
                alike in whatever batch it comes (the loss of a batch is the sum over its real steps / (its examples
                * T) * (all steps / real steps of the data set)), and accuracy is the share of right real steps.
            callbacks: see `nnx.callbacks`.
            shuffle: new order in every epoch; otherwise the order given.
            eager: run the layers' code in every step instead of replaying a recording; the same numbers.
            progress: show a progress bar; by default only on a terminal.
            resume: a file of `nnx.callbacks.Checkpoint` to go on from: the model becomes the one that was kept,
                with its metadata, and the run ends as it would have without the interruption, bit for bit on the
                same backend. The model must be made, and fit called, as before, callbacks with the same options
                too; only epochs may grow, and callbacks that have no bearing on training (`Callback.lasting`) may
                come and go. A run that a callback ended early stays ended.
            distributed: train with all processes that `mpiexec` has started, each of which makes the same call: the
                batches are shared out, and the model becomes what it becomes in one process, up to rounding; see
                `nnx.distributed`. Callbacks are asked on rank 0 alone.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: the data are not what the model takes.
            OptionError: an option is out of its range, lengths do not go with the layers or the validation_data,
                resume is a run on other terms or of more epochs, or a callback is to save what cannot be saved.
            FileFormatError: resume is no such file, or damaged.
            StorageError: a callback cannot write its file; or a dataset is closed, or cannot be read, and the model
                is left as it was when the epoch began, as it is where rows of one are refused on the way.
            DivergenceError: the loss, a weight, a statistic or a moment became NaN or infinite; the model is left
                as it was before that step.
            OutOfMemoryError: host or device ran out of memory on the way; an epoch that had begun is undone, one
                that had been trained stands, and so does the last file of a `Checkpoint`.
            NotBuiltError: `compile` was not called.
            BackendError: this model is being trained or changed already, or another thread uses it; or distributed
                processes cannot begin, or no longer agree.
            MemoryLimitError: there is not enough memory, as computed before any is taken, see `memory`; or a
                callback raises it, as where it trains another model, and an epoch that had begun is undone.
            MissingLibraryError: distributed, and mpi4py is not installed.
        """
        watchers, share = check_callbacks(callbacks), check_number("validation_split", validation_split, 0, 1)
        options = training.Options(
            epochs=check_count("epochs", epochs, 0),
            batch_size=check_batch_size(batch_size),
            shuffle=check_flag("shuffle", shuffle),
            eager=check_flag("eager", eager),
            progress=None if progress is None else check_flag("progress", progress),
        )
        team = find_team(check_flag("distributed", distributed))
        # losses are checked for NaN and infinity instead of every operation
        with self.access.exclusively(), np.errstate(all="ignore"):
            with before_training(), self.unbuilt_if_refused(), team.together():
                examples = self.accept(x, y, sample_weight, class_weight, lengths)
                examples, validation = self.set_aside(examples, validation_data, share)
                kept = None if resume is None else team.read(lambda: self._read_run(resume))
                loop = team.loop(training.Task(self, examples, validation, options, watchers))
                if kept is not None:
                    loop.keeper.check(kept)
            return team.fit(loop, kept)

    def _read_run(self, path: str | Path) -> KeptRun:
        from nnx.serialization import read_run

        return read_run(path, self)

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write configuration, weights and optimizer state to an HDF5 file, whole or not at all; see `nnx.load`.

        Args:
            path: the file, best of the ending .h5; an existing one is replaced only once the new one is complete.
            metadata: JSON values to keep with the model, such as class names; by default `model.metadata`.

        Raises:
            NotBuiltError: the model has no weights yet.
            OptionError: the configuration holds a function, or something of a class of one's own whose options no
                file can hold, or path is a folder, in none that exists, or ends as other formats do, in .png, say.
            DivergenceError: the model holds NaN or infinity; an existing file stays as it is.
            BackendError: another thread trains or changes the model.
            StorageError: the file cannot be written, because the disk is full, for example.
        """
        from nnx.serialization import save

        self.need_built()
        save(self, path, metadata)

    def save_weights(self, path: str | Path) -> None:
        """Write the weights alone, by name, to a safetensors file, which other frameworks read too.

        Raises:
            NotBuiltError: the model has no weights yet.
            OptionError: path is a folder, or in none that exists, or it ends as other formats do, in .h5, say.
            StorageError: the file cannot be written, because the disk is full, for example.
            MissingLibraryError: safetensors is not installed.
        """
        from nnx.weight_files import write_weights

        write_weights(self.get_weights(), path)

    def load_weights(self, path: str | Path) -> None:
        """Replace all weights by those of a file of `save_weights`, or of another framework with the same names.

        Such files have no checksums: damage that leaves values finite goes unnoticed. For safekeeping, use `save`.

        Raises:
            NotBuiltError: the model has no weights yet.
            FileFormatError: the file is missing, damaged, lacks a weight, or holds whole numbers.
            UnknownNameError, ShapeError, DataError, DtypeError: it holds a weight that the model has not, or of
                another shape, or not finite. Nothing is changed then.
            MissingLibraryError: safetensors is not installed.
        """
        from nnx.weight_files import read_weights

        self.set_weights(read_weights(path, self.get_weights()))

    def export_onnx(self, path: str | Path, *, lengths: bool = False) -> None:
        """Write what `predict` computes to an ONNX file, whole or not at all; see `nnx.onnx`.

        Args:
            path: the file; an existing one is replaced only once the new one is complete.
            lengths: whether the file has a second input, "lengths" (N,) int32, as `predict` has for sequences.

        Raises:
            NotBuiltError: the model has no weights yet.
            OptionError: a layer of one's own that nobody has said how to write, lengths for layers that would take
                padding for steps, more than an ONNX file holds, or path is a folder, in none that exists, or of the
                ending of another format.
            DivergenceError: the model holds NaN or infinity.
            BackendError: another thread trains or changes the model.
            StorageError: the file cannot be written, because the disk is full, for example.
            MissingLibraryError: onnx is not installed.
        """
        from nnx.onnx.writing import write_model

        self.need_built()
        write_model(self, self.metadata, path, lengths)

    def summary(self) -> str:
        """Return a table of the layers, their output shapes and numbers of parameters."""
        from nnx.summary import layer_table

        self.need_built()
        return layer_table(self)

    def _repr_html_(self) -> str:
        """Return what notebooks show: the table of `summary`; of a model that is not built, its layers alone."""
        from nnx.summary import layer_html

        return layer_html(self)

    def __reduce__(self) -> tuple[Callable[..., Sequential], tuple[Any, ...]]:
        """Go into pickles, and so to other processes, as options and values; see `nnx.copying`."""
        from nnx.copying import reduce

        return reduce(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        """Be copied, backend and all; see `nnx.copying`."""
        from nnx.copying import duplicate

        del memo  # a copy shares nothing with anything
        return duplicate(self)

    def __repr__(self) -> str:
        where = f" on {self.backend.name}, {self.store.count()} parameters" if self.built else ", not built"
        count = len(self.chain.layers)
        return f"<Sequential of {count} layer{'' if count == 1 else 's'}{where}>"
