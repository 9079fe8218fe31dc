"""`nnx train`: a fully connected network on one of the data sets, described by options."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import datasets
from nnx.callbacks import EarlyStopping
from nnx.cli.configuration import read_configuration, resolve_length
from nnx.cli.experiment import Experiment, Result, parse_batch_size, parse_layers
from nnx.cli.options import BackendName, Json, Seed, find_backend
from nnx.cli.output import check_writable, note, print_json, print_table, write_text
from nnx.checks import ACTIVATIONS
from nnx.history import History
from nnx.initializers import INITIALIZERS
from nnx.learning_curve import Curve, draw_learning_curves
from nnx.optimizers import OPTIMIZERS
from nnx.serialization import save as save_model
