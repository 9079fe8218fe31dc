// Penalty, clipping and update rules: one pass over flat buffers, in place.

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) l2_penalty(
        const T* __restrict__ w, T* __restrict__ dw, T* loss, Index n, T scale, T* partials, unsigned* arrivals) {
    T sum[1] = {0};
    each_pack<T>(n, [&](Index i, auto move) {
        const auto weights = move.load(w, i);
        auto slopes = move.load(dw, i);
        for (int k = 0; k < move.width; ++k) {
            sum[0] += weights[k] * weights[k];  // beyond the end they are 0
            slopes[k] += scale * weights[k];
        }
        move.store(dw, i, slopes);
    }, w, dw);
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
    each_pack<T>(n, [&](Index i, auto move) {
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) {
            const T size = fabs(slopes[k]);  // beyond the end they are 0
            if (size > B::large) sums[0] += (size * B::shrink) * (size * B::shrink);
            else if (size < B::small) sums[2] += (size * B::grow) * (size * B::grow);
            else sums[1] += size * size;
        }
    }, g);
    if (grid_sum(sums, partials, arrivals) && threadIdx.x == 0) *norm = blue_norm(sums[0], sums[1], sums[2]);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) clip(
        T* __restrict__ g, const T* __restrict__ norm, Index n, T limit) {
    if (*norm <= limit) return;
    const T factor = limit / *norm;  // NaN where the norm is
    each_pack<T>(n, [&](Index i, auto move) {
        auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) slopes[k] *= factor;
        move.store(g, i, slopes);
    }, g);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) sgd(
        T* __restrict__ p, const T* __restrict__ g, const T* __restrict__ lr, Index n) {
    const T rate = *lr;
    each_pack<T>(n, [&](Index i, auto move) {
        auto weights = move.load(p, i);
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) weights[k] -= rate * slopes[k];
        move.store(p, i, weights);
    }, p, g);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) momentum(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ v, const T* __restrict__ lr, Index n, T mu) {
    const T rate = *lr;
    each_pack<T>(n, [&](Index i, auto move) {
        auto weights = move.load(p, i), state = move.load(v, i);
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) {
            state[k] = mu * state[k] + slopes[k];
            weights[k] -= rate * state[k];
        }
        move.store(v, i, state);
        move.store(p, i, weights);
    }, p, g, v);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) nesterov(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ v, const T* __restrict__ lr, Index n, T mu) {
    const T rate = *lr;
    each_pack<T>(n, [&](Index i, auto move) {
        auto weights = move.load(p, i), state = move.load(v, i);
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) {
            state[k] = mu * state[k] + slopes[k];
            weights[k] -= rate * (slopes[k] + mu * state[k]);
        }
        move.store(v, i, state);
        move.store(p, i, weights);
    }, p, g, v);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) rmsprop(
        T* __restrict__ p, const T* __restrict__ g, T* __restrict__ s, const T* __restrict__ lr, Index n, T rho,
        T one_minus_rho, T eps) {
    const T rate = *lr;
    each_pack<T>(n, [&](Index i, auto move) {
        auto weights = move.load(p, i), state = move.load(s, i);
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) {
            state[k] = rho * state[k] + one_minus_rho * slopes[k] * slopes[k];
            weights[k] -= rate * slopes[k] / (sqrt(state[k]) + eps);
        }
        move.store(s, i, state);
        move.store(p, i, weights);
    }, p, g, s);
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
    each_pack<T>(n, [&](Index i, auto move) {
        auto weights = move.load(p, i), first = move.load(m, i), second = move.load(v, i);
        const auto slopes = move.load(g, i);
        for (int k = 0; k < move.width; ++k) {
            const T slope = slopes[k];
            if (i + k < decayed) weights[k] -= rate * weight_decay * weights[k];
            first[k] = b1 * first[k] + new1 * slope;
            second[k] = b2 * second[k] + new2 * slope * slope;
            weights[k] -= rate * (first[k] / c1) / (sqrt(second[k] / c2 + eps_root) + eps);
        }
        move.store(m, i, first);
        move.store(v, i, second);
        move.store(p, i, weights);
    }, p, g, m, v);
}
