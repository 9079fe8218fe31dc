// Losses with their gradients. An optional array comes as an address and a flag that tells whether it counts.

// The share of class c in what row i should be: from an integer label, or from a distribution per row.
template <typename T>
__device__ __forceinline__ T share(const Index* labels, Index row, Index c, Index, T certain) {
    return labels[row] == c ? certain : T(0);
}
template <typename T>
__device__ __forceinline__ T share(const T* targets, Index row, Index c, Index classes, T certain) {
    return certain * targets[row * classes + c];
}

template <typename T, typename Target, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) cross_entropy(
        const T* __restrict__ logits, const Target* __restrict__ targets, const T* __restrict__ weight,
        int weighted, T* loss, T* __restrict__ dlogits, int wanted, Index rows, Index classes, T certain,
        T uniform, T* partials, unsigned* arrivals) {
    T sum[1] = {0};
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T* z = logits + row * classes;
        const RowScale<T> scale = row_scale<TEAM>(z, classes);
        const T shift = log(scale.sum), importance = weighted ? weight[row] : T(1);
        for (Index c = team_lane<TEAM>(); c < classes; c += TEAM) {
            const T log_p = z[c] - scale.largest - shift;
            const T q = share<T>(targets, row, c, classes, certain) + uniform;
            sum[0] += importance * (q == 0 ? T(0) : -q * log_p);  // 0 log 0 = 0
            if (wanted) dlogits[row * classes + c] = (exp(log_p) - q) * importance / T(rows);
        }
    }
    if (grid_sum(sum, partials, arrivals) && threadIdx.x == 0) *loss = sum[0] / T(rows);
}

struct SigmoidCrossEntropy {
    template <typename T> static __device__ __forceinline__ T value(T z, T t, T) {
        return t * soft_plus(-z) + (1 - t) * soft_plus(z);
    }
    template <typename T> static __device__ __forceinline__ T slope(T z, T t, T) { return logistic(z) - t; }
};

struct SquaredError {
    template <typename T> static __device__ __forceinline__ T value(T y, T t, T) { return (y - t) * (y - t); }
    template <typename T> static __device__ __forceinline__ T slope(T y, T t, T) { return 2 * (y - t); }
};

template <typename T> __device__ __forceinline__ T sign(T e) { return e > 0 ? T(1) : e < 0 ? T(-1) : e; }

struct AbsoluteError {
    template <typename T> static __device__ __forceinline__ T value(T y, T t, T) { return fabs(y - t); }
    template <typename T> static __device__ __forceinline__ T slope(T y, T t, T) { return sign(y - t); }
};

struct Huber {
    template <typename T> static __device__ __forceinline__ T value(T y, T t, T delta) {
        const T e = y - t, size = fabs(e);
        return size <= delta ? T(0.5) * e * e : delta * (size - T(0.5) * delta);
    }
    template <typename T> static __device__ __forceinline__ T slope(T y, T t, T delta) {
        const T e = y - t;
        return fabs(e) <= delta ? e : delta * sign(e);
    }
};

template <typename T, typename Loss>
__global__ void __launch_bounds__(BLOCK, RESIDENT) elementwise_loss(
        const T* __restrict__ outputs, const T* __restrict__ targets, const T* __restrict__ weight, int weighted,
        T* loss, T* __restrict__ gradient, int wanted, Index n, Index columns, T delta, T* partials,
        unsigned* arrivals) {
    T sum[1] = {0};
    each_pack<T>(n, [&](Index i, auto move) {
        const auto y = move.load(outputs, i), t = move.load(targets, i);
        auto slopes = y;
        for (int k = 0; k < move.width; ++k) {
            if (!move.holds(i + k)) continue;
            const T importance = weighted ? weight[quotient(i + k, columns)] : T(1);
            sum[0] += importance * Loss::value(y[k], t[k], delta);
            slopes[k] = Loss::slope(y[k], t[k], delta) * importance / T(n);
        }
        if (wanted) move.store(gradient, i, slopes);
    }, outputs, targets, wanted ? gradient : outputs);
    if (grid_sum(sum, partials, arrivals) && threadIdx.x == 0) *loss = sum[0] / T(n);
}
