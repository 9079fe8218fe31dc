// Checks every access of a kernel built with -fsanitize=kernel-address, whose calls land here: it must lie
// inside an argument array, shared memory, the library's own variables or the thread's stack.
#pragma once
#include <stdint.h>

#include <vector>

#include "fibers.h"

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start[], _end[];  // the library in memory

namespace hostcuda {

struct Region {
    uintptr_t begin, end;
    int argument;

    HOSTCUDA_UNCHECKED bool holds(uintptr_t at, size_t bytes) const { return at >= begin && at + bytes <= end; }
};
static std::vector<Region> arguments_memory;
static Region last_hit;

inline bool in_dynamic(uintptr_t at) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(dynamic_shared);
    return at >= begin && at < begin + sizeof dynamic_storage;
}

[[noreturn]] inline void outside(uintptr_t at, size_t bytes, const char* what) {
    if (in_dynamic(at))
        fail(0, "%s of %zu bytes beyond the %zu bytes of dynamic shared memory", what, bytes, dynamic_bytes);
    const Region* nearest = nullptr;
    uintptr_t least = 1u << 30;  // farther away than this, it was not meant to be in that array
    for (const Region& region : arguments_memory) {
        const uintptr_t distance = at < region.begin ? region.begin - at : at - region.end;
        if (distance < least) least = distance, nearest = &region;
    }
    if (!nearest) fail(0, "%s of %zu bytes outside of the memory it was given", what, bytes);
    fail(0, "%s of %zu bytes at offset %ld of argument %d, which has %zu bytes", what, bytes,
         static_cast<long>(at - nearest->begin), nearest->argument, static_cast<size_t>(nearest->end - nearest->begin));
}

// Shared memory comes before arguments: tiles are read far more often.
HOSTCUDA_UNCHECKED inline bool allowed(uintptr_t at, size_t bytes) {
    const uintptr_t stack = reinterpret_cast<uintptr_t>(current->fiber->base) + page_bytes;
    if (at >= stack && at < stack + stack_bytes) return true;
    if (in_dynamic(at)) return at + bytes <= reinterpret_cast<uintptr_t>(dynamic_shared) + dynamic_bytes;
    const uintptr_t image = reinterpret_cast<uintptr_t>(__ehdr_start);
    if (at >= image && at < reinterpret_cast<uintptr_t>(_end)) return true;
    for (const Region& region : arguments_memory)
        if (region.holds(at, bytes)) return last_hit = region, true;
    const uintptr_t first = reinterpret_cast<uintptr_t>(threads.data());
    return at >= first && at < first + threads.size() * sizeof(Thread);
}

HOSTCUDA_UNCHECKED inline void check(uintptr_t at, size_t bytes, const char* what) {
    if (!checking || last_hit.holds(at, bytes)) return;
    checking = false;  // the library code used below is checked code itself
    if (!allowed(at, bytes)) outside(at, bytes, what);
    checking = true;
}

}  // namespace hostcuda

#define HOSTCUDA_ACCESS(bytes)                                                                         \
    inline __attribute__((used)) HOSTCUDA_UNCHECKED void __asan_load##bytes##_noabort(uintptr_t at) {  \
        hostcuda::check(at, bytes, "a read");                                                          \
    }                                                                                                  \
    inline __attribute__((used)) HOSTCUDA_UNCHECKED void __asan_store##bytes##_noabort(uintptr_t at) { \
        hostcuda::check(at, bytes, "a write");                                                         \
    }
extern "C" {
HOSTCUDA_ACCESS(1)
HOSTCUDA_ACCESS(2)
HOSTCUDA_ACCESS(4)
HOSTCUDA_ACCESS(8)
HOSTCUDA_ACCESS(16)
inline __attribute__((used)) HOSTCUDA_UNCHECKED void __asan_loadN_noabort(uintptr_t at, size_t bytes) {
    hostcuda::check(at, bytes, "a read");
}
inline __attribute__((used)) HOSTCUDA_UNCHECKED void __asan_storeN_noabort(uintptr_t at, size_t bytes) {
    hostcuda::check(at, bytes, "a write");
}
inline __attribute__((used)) void __asan_handle_no_return() {}
inline __attribute__((used)) void __asan_before_dynamic_init(const char*) {}
inline __attribute__((used)) void __asan_after_dynamic_init() {}

// Called before a launch with (begin, end, argument) of each array.
inline __attribute__((used, visibility("default"))) void set_memory(const uintptr_t* triples, int count) {
    hostcuda::arguments_memory.clear();
    hostcuda::last_hit = {};
    for (int i = 0; i < count; ++i, triples += 3)
        hostcuda::arguments_memory.push_back({triples[0], triples[1], static_cast<int>(triples[2])});
}
}
#undef HOSTCUDA_ACCESS
