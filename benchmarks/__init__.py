"""How fast nnx is: workloads and kernels, run by nnx and by what its users would pick instead, side by side.

Runs from a source checkout, by `nnx bench`; README.md in this folder tells what is where.
"""
