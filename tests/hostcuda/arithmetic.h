// Math and bit functions that CUDA has and C++ lacks. The rest comes from <math.h>, overloads included.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include <type_traits>

#include "types.h"

// CUDA mixes operand types here, passes by value, and lets a number win over NaN.
template <typename A, typename B> inline std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmax(static_cast<T>(a), static_cast<T>(b));
    else return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
template <typename A, typename B> inline std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point_v<T>) return fmin(static_cast<T>(a), static_cast<T>(b));
    else return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float sinpif(float x) { return static_cast<float>(sin(M_PI * fmod(static_cast<double>(x), 2.0))); }
inline float cospif(float x) { return static_cast<float>(cos(M_PI * fmod(static_cast<double>(x), 2.0))); }
namespace hostcuda {
constexpr long double pi = 3.14159265358979323846264338327950288L;
}
inline double sinpi(double x) { return static_cast<double>(sinl(hostcuda::pi * fmod(x, 2.0))); }
inline double cospi(double x) { return static_cast<double>(cosl(hostcuda::pi * fmod(x, 2.0))); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x), *c = cospif(x); }
inline void sincospi(double x, double* s, double* c) { *s = sinpi(x), *c = cospi(x); }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

// Fast intrinsics: exact here, a few ulp off on a GPU.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }

// Rounded one operation at a time: the empty asm hides the result from contraction into an FMA.
#define HOSTCUDA_ROUNDED(name, T, operation)                                                           \
    inline T name(T x, T y) {                                                                          \
        T result = x operation y;                                                                      \
        asm("" : "+x"(result));                                                                        \
        return result;                                                                                 \
    }
HOSTCUDA_ROUNDED(__fadd_rn, float, +)
HOSTCUDA_ROUNDED(__fsub_rn, float, -)
HOSTCUDA_ROUNDED(__fmul_rn, float, *)
HOSTCUDA_ROUNDED(__fdiv_rn, float, /)
HOSTCUDA_ROUNDED(__dadd_rn, double, +)
HOSTCUDA_ROUNDED(__dsub_rn, double, -)
HOSTCUDA_ROUNDED(__dmul_rn, double, *)
HOSTCUDA_ROUNDED(__ddiv_rn, double, /)
#undef HOSTCUDA_ROUNDED
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }

// Out-of-range values saturate and NaN becomes 0, as on the device; a C++ cast would be undefined.
namespace hostcuda {
template <typename T> inline T to_integer(double x) {
    constexpr T low = std::is_signed_v<T> ? static_cast<T>(T(1) << (8 * sizeof(T) - 1)) : T(0);
    constexpr T high = static_cast<T>(~low);
    if (isnan(x)) return 0;
    if (x <= static_cast<double>(low)) return low;
    return x >= static_cast<double>(high) ? high : static_cast<T>(x);
}
}  // namespace hostcuda
#define HOSTCUDA_CONVERT(from, From, to, To)                                                           \
    inline To __##from##2##to##_rn(From x) { return hostcuda::to_integer<To>(rint(x)); }               \
    inline To __##from##2##to##_rz(From x) { return hostcuda::to_integer<To>(trunc(x)); }              \
    inline To __##from##2##to##_rd(From x) { return hostcuda::to_integer<To>(floor(x)); }              \
    inline To __##from##2##to##_ru(From x) { return hostcuda::to_integer<To>(ceil(x)); }
HOSTCUDA_CONVERT(float, float, int, int)
HOSTCUDA_CONVERT(float, float, uint, unsigned)
HOSTCUDA_CONVERT(float, float, ll, long long)
HOSTCUDA_CONVERT(float, float, ull, unsigned long long)
HOSTCUDA_CONVERT(double, double, int, int)
HOSTCUDA_CONVERT(double, double, uint, unsigned)
HOSTCUDA_CONVERT(double, double, ll, long long)
HOSTCUDA_CONVERT(double, double, ull, unsigned long long)
#undef HOSTCUDA_CONVERT
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline float __ull2float_rn(unsigned long long x) { return static_cast<float>(x); }
inline double __ll2double_rn(long long x) { return static_cast<double>(x); }
inline double __ull2double_rn(unsigned long long x) { return static_cast<double>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

inline float __uint_as_float(unsigned x) { return hostcuda::bits<float>(x); }
inline float __int_as_float(int x) { return hostcuda::bits<float>(x); }
inline unsigned __float_as_uint(float x) { return hostcuda::bits<unsigned>(x); }
inline int __float_as_int(float x) { return hostcuda::bits<int>(x); }
inline double __longlong_as_double(long long x) { return hostcuda::bits<double>(x); }
inline long long __double_as_longlong(double x) { return hostcuda::bits<long long>(x); }

inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>((uint64_t(x) * y) >> 32); }
inline int __mulhi(int x, int y) { return static_cast<int>((int64_t(x) * y) >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(x) * y) >> 64);
}
inline long long __mul64hi(long long x, long long y) {
    return static_cast<long long>((static_cast<__int128>(x) * y) >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i, x >>= 1) reversed = reversed << 1 | (x & 1u);
    return reversed;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>((((uint64_t(high) << 32) | low) << (by & 31u)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>(((uint64_t(high) << 32) | low) >> (by & 31u));
}
