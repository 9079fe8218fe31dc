// Penalty, clipping and update rules: one pass over flat buffers, in place.

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) l2_penalty(
        const T* __restrict__ w, T* __restrict__ dw, T* loss, Index n, T scale, T* partials, unsigned* arrivals) {
    T sum[1] = {0};
    for (Index i = first_element(); i < n; i += element_stride()) {
        sum[0] += w[i] * w[i];
        dw[i] += scale * w[i];
    }
    if (grid_sum(sum, partials, arrivals) && threadIdx.x == 0) *loss += T(0.5) * scale * sum[0];
}

// Powers of two that squares of extreme numbers are scaled by (Blue 1978), so that no sum of squares overflows or
// vanishes where the norm does not, however many numbers there are.
template <typename T> struct Blue;

template <> struct Blue<float> {
    static constexpr float large = 0x1p40f, shrink = 0x1p-76f, small = 0x1p-63f, grow = 0x1p100f;
};
template <> struct Blue<double> {
    static constexpr double large = 0x1p440, shrink = 0x1p-538, small = 0x1p-511, grow = 0x1p700;
};

template <typename T> __device__ __forceinline__ T blue_norm(T large, T medium, T small) {
    typedef Blue<T> B;
    if (large > 0) return sqrt(large + (medium * B::shrink) * B::shrink) / B::shrink;  // the small ones do not show
    const T a = sqrt(medium), b = sqrt(small) / B::grow;
    if (!(medium > 0)) return medium == 0 ? b : medium;  // NaN stays
    const T most = a < b ? b : a, least = a < b ? a : b;
    return most * sqrt(1 + (least / most) * (least / most));
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) global_norm(
        const T* __restrict__ g, T* norm, Index n, T* partials, unsigned* arrivals) {
    typedef Blue<T> B;
    T sums[3] = {0, 0, 0};  // of large, medium and small numbers; a NaN is medium
    for (Index i = first_element(); i < n; i += element_stride()) {
        const T size = fabs(g[i]);
        if (size > B::large) sums[0] += (size * B::shrink) * (size * B::shrink);
        else if (size < B::small) sums[2] += (size * B::grow) * (size * B::grow);
        else sums[1] += size * size;
    }
    if (grid_sum(sums, partials, arrivals) && threadIdx.x == 0) *norm = blue_norm(sums[0], sums[1], sums[2]);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) clip(
        T* __restrict__ g, const T* __restrict__ norm, Index n, T limit) {
    if (*norm <= limit) return;
    const T factor = limit / *norm;  // NaN where the norm is
    for (Index i = first_element(); i < n; i += element_stride()) g[i] *= factor;
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) sgd(
        T* __restrict__ p, const T* __restrict__ g, const T* __restrict__ lr, Index n) {
    const T rate = *lr;
    for (Index i = first_element(); i < n; i += element_stride()) p[i] -= rate * g[i];
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) momentum(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ v, const T* __restrict__ lr, Index n, T mu) {
    const T rate = *lr;
    for (Index i = first_element(); i < n; i += element_stride()) {
        v[i] = mu * v[i] + g[i];
        p[i] -= rate * v[i];
    }
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) nesterov(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ v, const T* __restrict__ lr, Index n, T mu) {
    const T rate = *lr;
    for (Index i = first_element(); i < n; i += element_stride()) {
        v[i] = mu * v[i] + g[i];
        p[i] -= rate * (g[i] + mu * v[i]);
    }
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) rmsprop(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ s, const T* __restrict__ lr, Index n, T rho,
        T one_minus_rho, T eps) {
    const T rate = *lr;
    for (Index i = first_element(); i < n; i += element_stride()) {
        s[i] = rho * s[i] + one_minus_rho * g[i] * g[i];
        p[i] -= rate * g[i] / (sqrt(s[i]) + eps);
    }
}

// Adam, with the first `decayed` parameters shrunk first; plain Adam has decayed = 0.
template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) adam(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ m, T* __restrict__ v,
        const Index* __restrict__ step, const T* __restrict__ lr, Index n, double beta1, double beta2, T eps,
        T eps_root, T weight_decay, Index decayed) {
    __shared__ T corrections[2];  // 1 - beta^t: a power in float64 is dear, so two threads compute it for all
    if (threadIdx.x % WARP == 0 && threadIdx.x / WARP < 2)
        corrections[threadIdx.x / WARP] = T(1 - pow(threadIdx.x == 0 ? beta1 : beta2, double(*step + 1)));
    __syncthreads();
    const T c1 = corrections[0], c2 = corrections[1], rate = *lr;
    const T b1 = T(beta1), b2 = T(beta2), new1 = T(1 - beta1), new2 = T(1 - beta2);
    for (Index i = first_element(); i < n; i += element_stride()) {
        const T slope = g[i], weight = i < decayed ? p[i] - rate * weight_decay * p[i] : p[i];
        const T first = b1 * m[i] + new1 * slope, second = b2 * v[i] + new2 * slope * slope;
        m[i] = first;
        v[i] = second;
        p[i] = weight - rate * (first / c1) / (sqrt(second / c2 + eps_root) + eps);
    }
}
