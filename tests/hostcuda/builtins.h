// What the CUDA runtime gives a thread: its indices, barriers, warp operations, atomics, shared memory.
// Each waiting call takes its line as a hidden last argument, so that a fault names a line of the kernel.
#pragma once
#include <type_traits>

#include "fibers.h"

#define threadIdx (::hostcuda::current->index)
#define blockIdx (::hostcuda::block_index)
#define blockDim (::hostcuda::block_size)
#define gridDim (::hostcuda::grid_size)
#define warpSize 32

namespace hostcuda {

// Registers a __shared__ variable (module.py adds the call behind each declaration): what an earlier
// block or launch left in it is not there for the next one.
template <typename T> inline bool watch(T& variable) {
    const bool was_checking = checking;
    checking = false;  // the list is the scheduler's memory
    static_shared.push_back({const_cast<void*>(static_cast<const volatile void*>(&variable)), sizeof variable});
    memset(static_shared.back().address, poison, sizeof variable);
    checking = was_checking;
    return true;
}

inline int lane() { return static_cast<int>(current->linear % warp_size); }

inline int barrier(int predicate, int line) {
    current->predicate = predicate != 0;
    wait(State::barrier, line);
    return barrier_votes;
}

inline uint64_t meet(unsigned mask, Vote vote, uint64_t value, int source, int predicate, int line) {
    current->mask = mask;
    current->vote = vote;
    current->value = value;
    current->source = source;
    current->predicate = predicate != 0;
    wait(State::warp, line);
    return current->result;
}

template <typename T> inline T shuffle(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most 8 bytes");
    uint64_t raw = 0;
    memcpy(&raw, &value, sizeof value);
    raw = meet(mask, Vote::shuffle, raw, source, 0, line);
    memcpy(&value, &raw, sizeof value);
    return value;
}

inline unsigned ballot(unsigned mask, int predicate, int line) {
    return static_cast<unsigned>(meet(mask, Vote::ballot, 0, 0, predicate, line));
}

// First lane of the segment of `width` lanes that a lane belongs to.
inline int segment(int of_lane, int width) { return of_lane & ~(width - 1); }

// The old value at `address`, after the new one was stored. Threads change hands only where they wait.
template <typename T, typename Update> inline T exchange(T* address, Update update) {
    const T old = *address;
    *address = update(old);
    return old;
}

template <typename T> using Same = std::common_type_t<T>;  // keeps an argument out of type deduction

}  // namespace hostcuda

#define HOSTCUDA_LINE int line = __builtin_LINE()

inline void __syncthreads(HOSTCUDA_LINE) { hostcuda::barrier(0, line); }
inline int __syncthreads_count(int p, HOSTCUDA_LINE) { return hostcuda::barrier(p, line); }
inline int __syncthreads_or(int p, HOSTCUDA_LINE) { return hostcuda::barrier(p, line) != 0; }
inline int __syncthreads_and(int p, HOSTCUDA_LINE) { return hostcuda::barrier(!p, line) == 0; }
inline void __syncwarp(unsigned mask = ~0u, HOSTCUDA_LINE) {
    hostcuda::meet(mask, hostcuda::Vote::sync, 0, 0, 0, line);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

inline unsigned __ballot_sync(unsigned mask, int p, HOSTCUDA_LINE) { return hostcuda::ballot(mask, p, line); }
inline int __any_sync(unsigned mask, int p, HOSTCUDA_LINE) { return hostcuda::ballot(mask, p, line) != 0; }
inline int __all_sync(unsigned mask, int p, HOSTCUDA_LINE) { return hostcuda::ballot(mask, !p, line) == 0; }

template <typename T> inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, HOSTCUDA_LINE) {
    return hostcuda::shuffle(mask, value, hostcuda::segment(hostcuda::lane(), width) | (source & (width - 1)), line);
}
template <typename T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, HOSTCUDA_LINE) {
    const int self = hostcuda::lane(), source = self ^ bits;
    const bool beyond = hostcuda::segment(source, width) > hostcuda::segment(self, width);
    return hostcuda::shuffle(mask, value, beyond ? self : source, line);
}
template <typename T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, HOSTCUDA_LINE) {
    const int self = hostcuda::lane(), source = self + static_cast<int>(by);
    const bool beyond = hostcuda::segment(source, width) != hostcuda::segment(self, width);
    return hostcuda::shuffle(mask, value, beyond ? self : source, line);
}
template <typename T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, HOSTCUDA_LINE) {
    const int self = hostcuda::lane(), source = self - static_cast<int>(by);
    return hostcuda::shuffle(mask, value, source < hostcuda::segment(self, width) ? self : source, line);
}

#define HOSTCUDA_ATOMIC(name, expression)                                                              \
    template <typename T> inline T name(T* address, hostcuda::Same<T> value) {                         \
        return hostcuda::exchange(address, [&](T old) -> T { return expression; });                    \
    }
HOSTCUDA_ATOMIC(atomicAdd, old + value)
HOSTCUDA_ATOMIC(atomicSub, old - value)
HOSTCUDA_ATOMIC(atomicMax, value > old ? value : old)
HOSTCUDA_ATOMIC(atomicMin, value < old ? value : old)
HOSTCUDA_ATOMIC(atomicExch, value)
HOSTCUDA_ATOMIC(atomicAnd, old & value)
HOSTCUDA_ATOMIC(atomicOr, old | value)
HOSTCUDA_ATOMIC(atomicXor, old ^ value)
HOSTCUDA_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
HOSTCUDA_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)
#undef HOSTCUDA_ATOMIC
template <typename T> inline T atomicCAS(T* address, hostcuda::Same<T> expected, hostcuda::Same<T> value) {
    return hostcuda::exchange(address, [&](T old) -> T { return old == expected ? value : old; });
}

template <typename T> inline T __ldg(const T* address) { return *address; }
template <typename T> inline T __ldcg(const T* address) { return *address; }
template <typename T> inline T __ldcs(const T* address) { return *address; }
template <typename T> inline void __stcs(T* address, hostcuda::Same<T> value) { *address = value; }

inline void __trap(HOSTCUDA_LINE) { hostcuda::fail(line, "__trap()"); }
#undef assert
#define assert(condition) ((condition) ? (void)0 : ::hostcuda::fail(__LINE__, "assertion failed: %s", #condition))

// Called by code that g++ adds under -fsanitize=bounds,alignment; of its records only the place is read.
namespace hostcuda {
struct Place { const char* file; uint32_t line, column; };
}  // namespace hostcuda
extern "C" {
inline __attribute__((used)) void __ubsan_handle_out_of_bounds_abort(hostcuda::Place* at, uintptr_t index) {
    hostcuda::fail(static_cast<int>(at->line), "index %ld is outside of its array", static_cast<long>(index));
}
inline __attribute__((used)) void __ubsan_handle_type_mismatch_v1_abort(hostcuda::Place* at, uintptr_t address) {
    hostcuda::fail(static_cast<int>(at->line), "address %#lx is not aligned for its type",
                   static_cast<unsigned long>(address));
}
}
