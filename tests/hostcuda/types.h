// Qualifiers, vector types with CUDA's sizes and alignments, and half precision.
#pragma once
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __align__(n) alignas(n)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

#define HOSTCUDA_VECTORS(name, T, align1, align2, align4)                                              \
    struct alignas(align1) name##1 { T x; };                                                           \
    struct alignas(align2) name##2 { T x, y; };                                                        \
    struct alignas(align1) name##3 { T x, y, z; };                                                     \
    struct alignas(align4) name##4 { T x, y, z, w; };                                                  \
    inline name##1 make_##name##1(T x) { return {x}; }                                                 \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                         \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                 \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

HOSTCUDA_VECTORS(char, signed char, 1, 2, 4)
HOSTCUDA_VECTORS(uchar, unsigned char, 1, 2, 4)
HOSTCUDA_VECTORS(short, short, 2, 4, 8)
HOSTCUDA_VECTORS(ushort, unsigned short, 2, 4, 8)
HOSTCUDA_VECTORS(int, int, 4, 8, 16)
HOSTCUDA_VECTORS(uint, unsigned int, 4, 8, 16)
HOSTCUDA_VECTORS(long, long, 8, 16, 16)
HOSTCUDA_VECTORS(ulong, unsigned long, 8, 16, 16)
HOSTCUDA_VECTORS(longlong, long long, 8, 16, 16)
HOSTCUDA_VECTORS(ulonglong, unsigned long long, 8, 16, 16)
HOSTCUDA_VECTORS(float, float, 4, 8, 16)
HOSTCUDA_VECTORS(double, double, 8, 16, 16)
#undef HOSTCUDA_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

namespace hostcuda {
template <typename To, typename From> inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "reinterpreting needs equal sizes");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
}  // namespace hostcuda

typedef _Float16 __half;
typedef _Float16 half;
inline float __half2float(half value) { return static_cast<float>(value); }
inline half __float2half(float value) { return static_cast<half>(value); }

struct __nv_bfloat16 {
    uint16_t stored;
    __nv_bfloat16() = default;
    __nv_bfloat16(float value) {
        const uint32_t raw = hostcuda::bits<uint32_t>(value);
        const bool nan = (raw & 0x7fffffffu) > 0x7f800000u;
        stored = static_cast<uint16_t>(nan ? 0x7fffu : (raw + 0x7fffu + ((raw >> 16) & 1u)) >> 16);  // to even
    }
    operator float() const { return hostcuda::bits<float>(static_cast<uint32_t>(stored) << 16); }
};
inline float __bfloat162float(__nv_bfloat16 value) { return value; }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
