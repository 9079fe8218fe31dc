// Elementwise functions: value(x, alpha), and slope(x, y, alpha), the derivative at x where y = value(x).
// Those that `linear` fuses find their slope from y alone. All are named as in the interface, in CamelCase.

template <typename T> __device__ __forceinline__ T logistic(T x) {
    const T e = exp(-fabs(x));  // at most 1: nothing overflows
    return (x < 0 ? e : T(1)) / (1 + e);
}

template <typename T> __device__ __forceinline__ T soft_plus(T x) {
    return (x <= 0 ? T(0) : x) + log1p(exp(-fabs(x)));
}

struct Identity {
    template <typename T> static __device__ __forceinline__ T value(T x, T) { return x; }
    template <typename T> static __device__ __forceinline__ T slope(T, T, T) { return 1; }
};

struct Relu {
    template <typename T> static __device__ __forceinline__ T value(T x, T) { return x <= 0 ? T(0) : x; }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T) { return y > 0 ? 1 : 0; }
};

struct LeakyRelu {
    template <typename T> static __device__ __forceinline__ T value(T x, T alpha) { return x <= 0 ? alpha * x : x; }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T alpha) {
        return y > 0 ? T(1) : alpha;
    }
};

struct Elu {
    template <typename T> static __device__ __forceinline__ T value(T x, T alpha) {
        return x <= 0 ? alpha * expm1(x) : x;
    }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T alpha) {
        return y > 0 ? T(1) : y + alpha;
    }
};

struct Sigmoid {
    template <typename T> static __device__ __forceinline__ T value(T x, T) { return logistic(x); }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T) { return y * (1 - y); }
};

struct Tanh {
    template <typename T> static __device__ __forceinline__ T value(T x, T) { return tanh(x); }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T) { return (1 - y) * (1 + y); }
};

struct Softplus {
    template <typename T> static __device__ __forceinline__ T value(T x, T) { return soft_plus(x); }
    template <typename T> static __device__ __forceinline__ T slope(T, T y, T) { return -expm1(-y); }
};

// The activations that a layer fuses, by their place in `nnx.interface.FUSED`. Chosen at run time, where it costs a
// branch that all threads take alike, so that networks share kernels and compile few.
template <typename Use> __device__ __forceinline__ auto with_activation(int activation, Use use) {
    switch (activation) {
        case 0: return use(Identity());
        case 1: return use(Relu());
        case 2: return use(LeakyRelu());
        case 3: return use(Elu());
        case 4: return use(Sigmoid());
        case 5: return use(Tanh());
        default: return use(Softplus());
    }
}

// The normal distribution: e^(-x^2 / 2) and Phi(x) keep their digits far out, where rounding the argument of exp
// or erfc would cost a hundred units in the last place. `root` and `rest` add up to sqrt(1/2).
template <typename T> struct Normal;

template <> struct Normal<float> {
    static constexpr float root = 0.70710678f, rest = 1.21016175e-8f, density = 0.39894228f;
};
template <> struct Normal<double> {
    static constexpr double root = 0.70710678118654757, rest = -4.8336466567264567e-17;
    static constexpr double density = 0.3989422804014327;
};

template <typename T> __device__ __forceinline__ T bell(T x) {
    if (fabs(x) > 40) return 0;
    const T square = x * x, rest = fma(x, x, -square);
    const T e = exp(T(-0.5) * square);
    return fma(T(-0.5) * rest, e, e);
}

template <typename T> __device__ __forceinline__ T normal_cdf(T x) {
    if (fabs(x) > 40) return x < 0 ? 0 : 1;
    const T z = -x * Normal<T>::root;
    const T rest = fma(-x, Normal<T>::root, -z) - x * Normal<T>::rest;
    const T tail = erfc(z);
    return T(0.5) * (z > 1 ? fma(-2 * z * rest, tail, tail) : tail);  // erfc'(z) is nearly -2 z erfc(z) there
}

struct Gelu {
    template <typename T> static __device__ __forceinline__ T value(T x, T) {
        const T phi = normal_cdf(x);
        return phi == 0 ? T(0) : x * phi;  // 0 at -infinity too
    }
    template <typename T> static __device__ __forceinline__ T slope(T x, T, T) {
        const T density = bell(x) * Normal<T>::density;
        return normal_cdf(x) + (density == 0 ? T(0) : x * density);
    }
};

struct Silu {
    template <typename T> static __device__ __forceinline__ T value(T x, T) {
        const T s = logistic(x);
        return s == 0 ? T(0) : x * s;
    }
    template <typename T> static __device__ __forceinline__ T slope(T x, T, T) {
        const T s = logistic(x), flat = s * logistic(-x);
        return s + (flat == 0 ? T(0) : x * flat);
    }
};

// The largest element of a row, and the sum of e^(x - largest): what softmax and cross-entropy are made of.
template <typename T> struct RowScale { T largest, sum; };

template <int TEAM, typename T> __device__ __forceinline__ RowScale<T> row_scale(const T* x, Index columns) {
    T largest = -infinity<T>(), sum = 0;
    for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) largest = largest < x[i] ? x[i] : largest;
    largest = team_max<TEAM>(largest);
    for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) sum += exp(x[i] - largest);  // a NaN enters here
    return {largest, team_sum<TEAM>(sum)};
}
