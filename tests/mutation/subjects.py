"""Which tests are asked about which module: its own first, since the first that fails is enough."""

from __future__ import annotations

TESTS = {
    "nnx/serialization.py": (
        "test_serialization.py",
        "test_serialization_refused.py",
        "test_serialization_runs.py",
    ),
    "nnx/configuration.py": (
        "test_serialization.py",
        "test_serialization_refused.py",
    ),
    "nnx/random.py": (
        "test_random.py",
        "test_initializers.py",
    ),
    "nnx/parameters.py": (
        "test_parameters.py",
        "test_weight_files.py",
    ),
    "nnx/optimizers.py": ("test_optimizer_options.py", "test_optimizers.py"),
    "nnx/losses.py": ("test_losses.py", "test_loss_decisions.py", "test_sequence_outputs.py", "test_lengths.py"),
    "nnx/schedules.py": ("test_schedules.py",),
}
"""Files in `tests/`; they run on the NumPy backend alone, without those that compare with PyTorch."""
