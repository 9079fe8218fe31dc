// The entry point of one kernel: its signature, and a launch of all its blocks, one after the other.
#pragma once
#include <stdio.h>
#include <string.h>

#include <string>
#include <type_traits>
#include <utility>

#include "fibers.h"

namespace hostcuda {

// What module.py compares an argument with: kind (f, i, u, b as in NumPy, V for anything else), size, * for a pointer.
template <typename T> inline std::string describe() {
    if constexpr (std::is_pointer_v<T>) {
        using Item = std::remove_cv_t<std::remove_pointer_t<T>>;
        if constexpr (std::is_void_v<Item>) return "V0*";
        else return describe<Item>() + "*";
    } else {
        const char* integer = std::is_same_v<T, bool> ? "b" : std::is_signed_v<T> ? "i" : "u";
        const char* kind = std::is_floating_point_v<T> ? "f" : std::is_integral_v<T> ? integer : "V";
        return kind + std::to_string(sizeof(T));
    }
}

inline unsigned long long common_divisor(unsigned long long a, unsigned long long b) {
    return b ? common_divisor(b, a % b) : a;
}

// The order of blocks is undefined on a GPU: a seeded walk i -> (start + i * stride) mod count.
struct BlockOrder {
    unsigned long long count, start, stride;
    BlockOrder(unsigned long long count_, unsigned seed) : count(count_), start(0), stride(1) {
        if (seed == 0) return;
        start = count - 1, stride = count - 1;
        if (seed == 1 || count < 3) return;
        Random random{(seed + 1ull) * 0x9e3779b97f4a7c15ull};
        do stride = 1 + random.below(static_cast<unsigned>(count > 0x7fffffff ? 0x7fffffff : count - 1));
        while (common_divisor(stride, count) != 1);
        start = random.below(static_cast<unsigned>(count > 0x7fffffff ? 0x7fffffff : count));
    }
    unsigned long long at(unsigned long long i) const {
        return static_cast<unsigned long long>((static_cast<unsigned __int128>(i) * stride + start) % count);
    }
};

inline void set_sizes(const unsigned* grid, const unsigned* block, size_t shared) {
    grid_size = dim3(grid[0], grid[1], grid[2]);
    block_size = dim3(block[0], block[1], block[2]);
    dynamic_bytes = shared;
    threads.resize(block[0] * block[1] * block[2]);
    for (unsigned i = 0; i < threads.size(); ++i) {
        threads[i].linear = i;
        threads[i].index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
    }
}

inline bool run_grid(unsigned seed) {
    const BlockOrder order(1ull * grid_size.x * grid_size.y * grid_size.z, seed);
    for (unsigned long long i = 0; i < order.count; ++i) {
        const unsigned long long b = order.at(i);
        block_index = {static_cast<unsigned>(b % grid_size.x), static_cast<unsigned>(b / grid_size.x % grid_size.y),
                       static_cast<unsigned>(b / grid_size.x / grid_size.y)};
        if (!run_block(seed, static_cast<unsigned>(b))) return false;
    }
    return true;
}

template <auto kernel, typename Type = decltype(kernel)> struct Entry;

// The kernel is a template argument, so that it can be inlined into the loop over threads.
template <auto kernel, typename... Parameters> struct Entry<kernel, void (*)(Parameters...)> {
    static inline void** arguments;

    template <size_t... i> HOSTCUDA_UNCHECKED static void call(std::index_sequence<i...>) {
        kernel(*static_cast<std::remove_cv_t<Parameters>*>(arguments[i])...);
    }

    static const char* launch(void** values, const unsigned* grid, const unsigned* block, size_t shared,
                              unsigned seed, void* lent) {
        arguments = values;
        take_stacks(lent);
        body = [] { call(std::index_sequence_for<Parameters...>{}); };
        error[0] = 0;
        set_sizes(grid, block, shared);
        return run_grid(seed) ? nullptr : error;
    }

    static const char* signature() {
        static std::string text;
        text.clear();
        ((text += describe<std::remove_cv_t<Parameters>>() + " "), ...);
        return text.c_str();
    }
};

}  // namespace hostcuda

#define HOSTCUDA_EXPORT extern "C" __attribute__((visibility("default")))
HOSTCUDA_EXPORT inline __attribute__((used)) void* make_stacks() { return hostcuda::make_stacks(); }
#define HOSTCUDA_ENTRY(number, ...)                                                                    \
    HOSTCUDA_EXPORT const char* signature_##number() { return hostcuda::Entry<(__VA_ARGS__)>::signature(); } \
    HOSTCUDA_EXPORT const char* launch_##number(void** values, const unsigned* grid, const unsigned* block, \
                                                size_t shared, unsigned seed, void* lent) {            \
        return hostcuda::Entry<(__VA_ARGS__)>::launch(values, grid, block, shared, seed, lent);        \
    }
