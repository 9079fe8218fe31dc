// CUDA C++ on the CPU: what a kernel source may use, for tests on machines without a GPU.
//
//   types.h       qualifiers, vector types, half precision
//   fibers.h      one fiber per CUDA thread, the seeded scheduler, barriers, fault detection
//   builtins.h    threadIdx and friends, barriers, warp operations, atomics
//   arithmetic.h  math and bit functions that C++ lacks
//   memory.h      faults for accesses outside of what a kernel was given
//   launch.h      one entry point per kernel, called from module.py
#pragma once
#include "types.h"

#include "fibers.h"

#include "builtins.h"

#include "arithmetic.h"

#include "memory.h"

#include "launch.h"

// Defined last, so that the standard headers above are not read as if by a CUDA compiler.
#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __CUDA_ARCH__ 750
#define __HOSTCUDA__ 1
