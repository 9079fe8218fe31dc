// What surrounds a library's matrix products in a dense layer: bias and activation after, gradients before.

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) bias_activation(
        T* y, const T* __restrict__ bias, int biased, Index n, Index columns, T alpha) {
    for (Index i = first_element(); i < n; i += element_stride()) {
        const T z = biased ? y[i] + bias[i - quotient(i, columns) * columns] : y[i];
        y[i] = F::value(z, alpha);
    }
}

// dz = dy f'(z), stored unless it equals dy, and its sums over the rows.
template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) gradient_sums(
        const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dz, int stored, T* __restrict__ sums,
        Index rows, Index columns, int width, Index rows_per_block, T alpha, T* partials, unsigned* arrivals) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    T sum[1] = {0};
    each_row(tile, [&](Index, Index i) {
        const T slope = dy[i] * F::slope(y[i], y[i], alpha);
        if (stored) dz[i] = slope;
        sum[0] += slope;
    });
    if (column_sum(tile, sum, partials, arrivals) && tile.leads) sums[tile.column] = sum[0];
}
