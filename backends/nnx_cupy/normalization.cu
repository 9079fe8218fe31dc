// Batch and layer normalisation.

struct ByColumn {  // statistics of a column: batch normalisation
    static __device__ __forceinline__ Index of(Index, Index column) { return column; }
};
struct ByRow {  // statistics of a row: layer normalisation
    static __device__ __forceinline__ Index of(Index row, Index) { return row; }
};

template <typename T>
__device__ __forceinline__ void keep_statistics(Index c, Index rows, T centre, T squares, T* mean, T* rstd,
                                                T* running_mean, T* running_var, T keep, T momentum, T eps) {
    const T variance = squares / T(rows);
    mean[c] = centre;
    rstd[c] = 1 / sqrt(variance + eps);
    running_mean[c] = keep * running_mean[c] + momentum * centre;
    if (rows > 1) running_var[c] = keep * running_var[c] + momentum * (variance * (T(rows) / T(rows - 1)));
}

// Each block finds the mean of its own rows and the squares about it; the last one joins them (Chan, Golub &
// LeVeque 1979): the squares about the common mean are those about each own mean plus n_k (mean_k - mean)^2.
template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_statistics(
        const T* __restrict__ x, T* mean, T* rstd, T* running_mean, T* running_var, Index rows, Index columns,
        int width, Index rows_per_block, T keep, T momentum, T eps, T* partials, unsigned* arrivals) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    const auto size = [&](Index block) { return T(smaller(rows_per_block, rows - block * rows_per_block)); };
    T sum = 0, squares = 0;
    each_row(tile, [&](Index, Index i) { sum += x[i]; });
    T centre = block_sum(sum, width) / size(blockIdx.y);
    each_row(tile, [&](Index, Index i) { squares += (x[i] - centre) * (x[i] - centre); });
    squares = block_sum(squares, width);
    if (gridDim.y > 1) {
        const T own[2] = {centre, squares};
        if (!hand_over(tile, own, partials, arrivals)) return;
        const auto part = [&](Index block, int k) {
            return __ldcg(partials + (block * 2 + k) * columns + tile.column);
        };
        centre = sum_of_parts<T>(tile, [&](Index block) { return size(block) * part(block, 0); }) / T(rows);
        squares = sum_of_parts<T>(tile, [&](Index block) {
            const T away = part(block, 0) - centre;
            return part(block, 1) + size(block) * away * away;
        });
    }
    if (tile.leads)
        keep_statistics(tile.column, rows, centre, squares, mean, rstd, running_mean, running_var, keep, momentum,
                        eps);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_apply(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ beta,
        const T* __restrict__ mean, const T* __restrict__ rstd, T* __restrict__ y, Index rows, Index columns,
        int width, Index rows_per_block) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    if (!tile.inside) return;
    const Index c = tile.column;
    const T scale = gamma[c], shift = beta[c], centre = mean[c], factor = rstd[c];
    each_row(tile, [&](Index, Index i) { y[i] = scale * ((x[i] - centre) * factor) + shift; });
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_infer(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ beta,
        const T* __restrict__ running_mean, const T* __restrict__ running_var, T* __restrict__ y, T eps,
        Index rows, Index columns, int width, Index rows_per_block) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    if (!tile.inside) return;
    const Index c = tile.column;
    const T scale = gamma[c], shift = beta[c], centre = running_mean[c], factor = 1 / sqrt(running_var[c] + eps);
    each_row(tile, [&](Index, Index i) { y[i] = scale * ((x[i] - centre) * factor) + shift; });
}

// dbeta = sum dy and dgamma = sum dy h over the rows, h = (x - mean) rstd with statistics of columns or of rows.
template <typename T, typename By>
__global__ void __launch_bounds__(BLOCK, RESIDENT) scale_gradients(
        const T* __restrict__ x, const T* __restrict__ mean, const T* __restrict__ rstd, const T* __restrict__ dy,
        T* __restrict__ dgamma, T* __restrict__ dbeta, Index rows, Index columns, int width, Index rows_per_block,
        T* partials, unsigned* arrivals) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    T sums[2] = {0, 0};
    each_row(tile, [&](Index row, Index i) {
        const Index s = By::of(row, tile.column);
        sums[0] += dy[i];
        sums[1] += dy[i] * ((x[i] - mean[s]) * rstd[s]);
    });
    if (column_sum(tile, sums, partials, arrivals) && tile.leads) {
        dbeta[tile.column] = sums[0];
        dgamma[tile.column] = sums[1];
    }
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_slope(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ mean,
        const T* __restrict__ rstd, const T* __restrict__ dy, const T* __restrict__ dgamma,
        const T* __restrict__ dbeta, T* __restrict__ dx, Index rows, Index columns, int width,
        Index rows_per_block) {
    const Tile tile = tile_of(rows, columns, width, rows_per_block);
    if (!tile.inside) return;
    const Index c = tile.column;
    const T centre = mean[c], factor = rstd[c], scale = gamma[c] * factor;
    const T level = dbeta[c] / T(rows), slope = dgamma[c] / T(rows);
    each_row(tile, [&](Index, Index i) { dx[i] = scale * (dy[i] - level - (x[i] - centre) * factor * slope); });
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) layer_norm(
        const T* __restrict__ inputs, const T* __restrict__ gamma, const T* __restrict__ beta,
        T* __restrict__ outputs, T* __restrict__ mean, T* __restrict__ rstd, T eps, Index rows, Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T* x = inputs + row * columns;
        T *y = outputs + row * columns, sum = 0, squares = 0;
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) sum += x[i];
        const T centre = team_sum<TEAM>(sum) / T(columns);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) squares += (x[i] - centre) * (x[i] - centre);
        const T factor = 1 / sqrt(team_sum<TEAM>(squares) / T(columns) + eps);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM)
            y[i] = gamma[i] * ((x[i] - centre) * factor) + beta[i];
        if (team_lane<TEAM>() == 0) {
            mean[row] = centre;
            rstd[row] = factor;
        }
    }
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) layer_norm_slope(
        const T* __restrict__ inputs, const T* __restrict__ gamma, const T* __restrict__ mean,
        const T* __restrict__ rstd, const T* __restrict__ slopes, T* __restrict__ gradients, Index rows,
        Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T *x = inputs + row * columns, *dy = slopes + row * columns;
        T *dx = gradients + row * columns, level = 0, slope = 0;
        const T centre = mean[row], factor = rstd[row];
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) {
            const T q = dy[i] * gamma[i];
            level += q;
            slope += q * ((x[i] - centre) * factor);
        }
        level = team_sum<TEAM>(level) / T(columns);
        slope = team_sum<TEAM>(slope) / T(columns);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM)
            dx[i] = factor * (dy[i] * gamma[i] - level - (x[i] - centre) * factor * slope);
    }
}
