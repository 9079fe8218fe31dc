// What surrounds a library's matrix products in a dense layer: bias and activation after, gradients before.

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) bias_activation(
        T* y, const T* __restrict__ bias, int biased, Index n, Index columns, T alpha) {
    each_pack<T>(n, [&](Index i, auto move) {
        auto values = move.load(y, i);
        Index column = i - quotient(i, columns) * columns;
        for (int k = 0; k < move.width; ++k) {
            values[k] = F::value(biased ? values[k] + bias[column] : values[k], alpha);
            if (++column == columns) column = 0;
        }
        move.store(y, i, values);
    }, y);
}

// dz = dy f'(z), stored unless it equals dy, and its sums over the rows.
template <typename T, typename F, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) gradient_sums(
        const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dz, int stored, T* __restrict__ sums,
        Index rows, Index columns, int width, Index rows_per_block, T alpha, T* partials, unsigned* arrivals) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    T sum[WIDTH] = {};
    each_row<WIDTH>(tile, [&](Index, Index i, auto move) {
        const auto outputs = move.load(y, i);
        auto slopes = move.load(dy, i);
        for (int k = 0; k < WIDTH; ++k) {
            slopes[k] *= F::slope(outputs[k], outputs[k], alpha);
            sum[k] += slopes[k];
        }
        if (stored) move.store(dz, i, slopes);
    }, y, dy, stored ? dz : y);
    if (column_sum(tile, sum, partials, arrivals) && tile.leads)
        for (int k = 0; k < WIDTH; ++k) sums[tile.column * WIDTH + k] = sum[k];
}
