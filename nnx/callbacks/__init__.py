"""Callbacks: what `fit` asks after every epoch, or after every so many steps."""

from nnx.callbacks.base import MEASURED, Callback, Logs, Monitor, check_added, check_callbacks
from nnx.callbacks.checkpoints import Checkpoint
from nnx.callbacks.files import CSVLogger, ModelCheckpoint
from nnx.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from nnx.callbacks.stopping import EarlyStopping
from nnx.callbacks.tensorboard import TensorBoard

__all__ = [
    "MEASURED",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "Monitor",
    "ReduceLROnPlateau",
    "TensorBoard",
    "check_added",
    "check_callbacks",
]
