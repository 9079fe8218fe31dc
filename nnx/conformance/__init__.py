"""The kit that tells whether a backend does what the interface says.

As a function: `check_backend(backend)` returns a `Report`.
As tests: `pytest --pyargs nnx.conformance --backend NAME`.
Both run the same `checks()`, and both can be limited: `kernels=["softmax"]`, `--kernel softmax`.
"""

from nnx.conformance.report import Check, Failure, NonconformanceError, Report
from nnx.conformance.suite import check_backend, checks

__all__ = ["Check", "Failure", "NonconformanceError", "Report", "check_backend", "checks"]
