// Copies, counters and counts.

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) add(
        const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ out, Index n) {
    each_pack<T>(n, [&](Index i, auto move) {
        auto sums = move.load(a, i);
        const auto others = move.load(b, i);
        for (int k = 0; k < move.width; ++k) sums[k] += others[k];
        move.store(out, i, sums);
    }, a, b, out);
}

// Item is any type of the right size: elements are moved, not computed with, and as many at once as lie aligned.
template <typename Item>
__global__ void __launch_bounds__(BLOCK, RESIDENT) take_rows(
        const Item* __restrict__ source, const Index* __restrict__ order, const Index* __restrict__ batch,
        Item* __restrict__ out, Index n, Index columns, Index batch_size) {
    const Index* rows = order + *batch * batch_size;
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index row = quotient(i, columns);
        out[i] = source[rows[row] * columns + (i - row * columns)];
    }
}

// Two matrices of a and b columns side by side, and apart again.
template <typename Item>
__global__ void __launch_bounds__(BLOCK, RESIDENT) join(
        const Item* __restrict__ left, const Item* __restrict__ right, Item* __restrict__ out, Index n, Index a,
        Index b) {
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index row = quotient(i, a + b), column = i - row * (a + b);
        out[i] = column < a ? left[row * a + column] : right[row * b + column - a];
    }
}

template <typename Item>
__global__ void __launch_bounds__(BLOCK, RESIDENT) split(
        const Item* __restrict__ x, Item* __restrict__ left, Item* __restrict__ right, Index n, Index a, Index b) {
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index row = quotient(i, a + b), column = i - row * (a + b);
        if (column < a) left[row * a + column] = x[i];
        else right[row * b + column - a] = x[i];
    }
}

template <typename Item> __global__ void load_at(const Item* source, const Index* index, Item* out) {
    if (threadIdx.x == 0) *out = source[*index];
}

template <typename From, typename To>
__global__ void store_at(const From* value, const Index* index, To* out, Index size) {
    if (threadIdx.x == 0 && 0 <= *index && *index < size) out[*index] = static_cast<To>(*value);
}

template <typename T> __global__ void increment(T* counter) {
    if (threadIdx.x == 0) *counter += 1;
}

template <typename T> struct Place {
    T value;
    Index index;
};

template <typename T> __device__ __forceinline__ Place<T> from_lane_across(Place<T> place, int offset) {
    return {__shfl_xor_sync(ALL_LANES, place.value, offset), __shfl_xor_sync(ALL_LANES, place.index, offset)};
}

// The one that argmax prefers: a NaN, then the larger value, then the lower index.
template <typename T> __device__ __forceinline__ Place<T> preferred(Place<T> a, Place<T> b) {
    const bool a_missing = isnan(a.value), b_missing = isnan(b.value);
    if (a_missing != b_missing) return a_missing ? a : b;
    if (a_missing || a.value == b.value) return a.index < b.index ? a : b;
    return a.value > b.value ? a : b;
}

template <int TEAM, typename T> __device__ __forceinline__ Index row_argmax(const T* x, Index columns) {
    Place<T> best = {-infinity<T>(), columns};
    for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) best = preferred(best, Place<T>{x[i], i});
    return team_reduce<TEAM>(best, [](Place<T> a, Place<T> b) { return preferred(a, b); }).index;
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) argmax(
        const T* __restrict__ x, Index* __restrict__ out, Index rows, Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const Index best = row_argmax<TEAM>(x + row * columns, columns);
        if (team_lane<TEAM>() == 0) out[row] = best;
    }
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) count_correct(
        const T* __restrict__ logits, const Index* __restrict__ labels, Index* count, Index rows, Index columns,
        Index* partials, unsigned* arrivals) {
    Index right[1] = {0};
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const Index best = row_argmax<TEAM>(logits + row * columns, columns);
        right[0] += team_lane<TEAM>() == 0 && best == labels[row];
    }
    if (grid_sum(right, partials, arrivals) && threadIdx.x == 0) *count = right[0];
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) count_correct_binary(
        const T* __restrict__ logits, const T* __restrict__ targets, Index* count, Index n, Index* partials,
        unsigned* arrivals) {
    Index right[1] = {0};
    for (Index i = first_element(); i < n; i += element_stride())
        right[0] += (logits[i] > 0) == (targets[i] > T(0.5));
    if (grid_sum(right, partials, arrivals) && threadIdx.x == 0) *count = right[0];
}
