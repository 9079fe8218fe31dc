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

// ---- batch normalisation of few rows: each thread holds its part of a column, which is read once and written once

constexpr int HELD = 8;  // rows to a thread
constexpr int HOLDING = 2;  // blocks on a multiprocessor: 128 registers a thread, for the rows

template <typename T, typename Visit> __device__ __forceinline__ void each_held(const Tile& tile, Visit visit) {
#pragma unroll
    for (int k = 0; k < HELD; ++k) {
        const Index row = tile.row + k * tile.step;
        if (tile.inside && row < tile.end) visit(k, row * tile.columns + tile.column);
    }
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, HOLDING) batch_norm_held(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ beta, T* running_mean,
        T* running_var, T* __restrict__ y, T* mean, T* rstd, Index rows, Index columns, int width, T keep,
        T momentum, T eps) {
    const Tile tile = tile_of<1>(rows, columns, width, rows);
    T held[HELD], sum = 0, squares = 0;
    each_held<T>(tile, [&](int k, Index i) { sum += held[k] = x[i]; });
    const T centre = block_sum(sum, width) / T(rows);
    each_held<T>(tile, [&](int k, Index) { squares += (held[k] - centre) * (held[k] - centre); });
    squares = block_sum(squares, width);
    if (!tile.inside) return;
    const Index c = tile.column;
    if (tile.leads)
        keep_statistics(c, rows, centre, squares, mean, rstd, running_mean, running_var, keep, momentum, eps);
    const T scale = gamma[c], shift = beta[c], factor = 1 / sqrt(squares / T(rows) + eps);
    each_held<T>(tile, [&](int k, Index i) { y[i] = scale * ((held[k] - centre) * factor) + shift; });
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, HOLDING) batch_norm_backward_held(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ mean,
        const T* __restrict__ rstd, const T* __restrict__ dy, T* __restrict__ dx, int wanted,
        T* __restrict__ dgamma, T* __restrict__ dbeta, Index rows, Index columns, int width) {
    const Tile tile = tile_of<1>(rows, columns, width, rows);
    const Index c = tile.inside ? tile.column : 0;
    const T centre = mean[c], factor = rstd[c];
    T normal[HELD], slopes[HELD], level = 0, slope = 0;
    each_held<T>(tile, [&](int k, Index i) {
        normal[k] = (x[i] - centre) * factor;
        slopes[k] = dy[i];
        level += slopes[k];
        slope += slopes[k] * normal[k];
    });
    level = block_sum(level, width), slope = block_sum(slope, width);
    if (tile.leads) dbeta[c] = level, dgamma[c] = slope;
    if (!wanted || !tile.inside) return;
    const T scale = gamma[c] * factor;
    level /= T(rows), slope /= T(rows);
    each_held<T>(tile, [&](int k, Index i) { dx[i] = scale * (slopes[k] - level - normal[k] * slope); });
}

// ---- batch normalisation of many rows: one pass for the sums and one that writes, which is as few as there can be
// where a column does not fit on chip. WIDTH neighbouring columns go to a thread.

// The mean so far of what a thread has seen, and the squares about it (Welford 1962), counted from the first value:
// rounding then is that of the spread, and not of a mean that may be far larger. The sum is kept besides, since an
// infinity belongs in the mean, and running means of it are NaN.
template <typename T> struct Moments {
    T sum = 0, first = 0, centre = 0, squares = 0;
    __device__ __forceinline__ void add(T value, T count, T share) {
        if (count == 1) first = value;
        sum += value;
        const T distance = value - first, away = distance - centre;
        centre += away * share;
        squares += away * (distance - centre);
    }
    __device__ __forceinline__ T squares_about(T other, T count) const {
        const T away = (first - other) + centre;
        return count > 0 ? squares + count * away * away : T(0);
    }
};

// Joins what threads, and then blocks, found (Chan, Golub & LeVeque 1979): the squares about the common mean are
// those about each own mean plus n_k (mean_k - mean)^2.
template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_statistics(
        const T* __restrict__ x, T* mean, T* rstd, T* running_mean, T* running_var, Index rows, Index columns,
        int width, Index rows_per_block, T keep, T momentum, T eps, T* partials, unsigned* arrivals) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    const auto size = [&](Index block) { return T(smaller(rows_per_block, rows - block * rows_per_block)); };
    Moments<T> moments[WIDTH];
    T count = 0, found[2 * WIDTH];  // of each column the mean, then the squares about it
    each_row<WIDTH>(tile, [&](Index, Index i, auto move) {
        const auto values = move.load(x, i);
        const T share = 1 / ++count;
        for (int k = 0; k < WIDTH; ++k) moments[k].add(values[k], count, share);
    }, x);
    for (int k = 0; k < WIDTH; ++k) {
        found[k] = block_sum(moments[k].sum, width) / size(blockIdx.y);
        found[WIDTH + k] = block_sum(moments[k].squares_about(found[k], count), width);
    }
    if (gridDim.y > 1) {
        if (!hand_over(tile, found, partials, arrivals)) return;
        const auto part = [&](Index block, int k) {
            return __ldcg(partials + (block * 2 * WIDTH + k) * tile.columns + tile.column);
        };
        for (int k = 0; k < WIDTH; ++k) {
            const T centre = sum_of_parts<T>(tile, [&](Index b) { return size(b) * part(b, k); }) / T(rows);
            found[k] = centre;
            found[WIDTH + k] = sum_of_parts<T>(tile, [&](Index b) {
                const T away = part(b, k) - centre;
                return part(b, WIDTH + k) + size(b) * away * away;
            });
        }
    }
    if (tile.leads)
        for (int k = 0; k < WIDTH; ++k)
            keep_statistics(tile.column * WIDTH + k, rows, found[k], found[WIDTH + k], mean, rstd, running_mean,
                            running_var, keep, momentum, eps);
}

// y = gamma (x - mean) factor(spread) + beta
template <int WIDTH, typename T, typename Factor>
__device__ __forceinline__ void normalise(const Tile& tile, const T* x, const T* gamma, const T* beta,
                                          const T* mean, const T* spread, T* y, Factor factor_of) {
    if (!tile.inside) return;
    T scale[WIDTH], shift[WIDTH], centre[WIDTH], factor[WIDTH];
    for (int k = 0; k < WIDTH; ++k) {
        const Index c = tile.column * WIDTH + k;
        scale[k] = gamma[c], shift[k] = beta[c], centre[k] = mean[c], factor[k] = factor_of(spread[c]);
    }
    each_row<WIDTH>(tile, [&](Index, Index i, auto move) {
        auto values = move.load(x, i);
        for (int k = 0; k < WIDTH; ++k) values[k] = scale[k] * ((values[k] - centre[k]) * factor[k]) + shift[k];
        move.store(y, i, values);
    }, x, y);
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_apply(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ beta,
        const T* __restrict__ mean, const T* __restrict__ rstd, T* __restrict__ y, Index rows, Index columns,
        int width, Index rows_per_block) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    normalise<WIDTH>(tile, x, gamma, beta, mean, rstd, y, [](T factor) { return factor; });
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_infer(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ beta,
        const T* __restrict__ running_mean, const T* __restrict__ running_var, T* __restrict__ y, T eps,
        Index rows, Index columns, int width, Index rows_per_block) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    normalise<WIDTH>(tile, x, gamma, beta, running_mean, running_var, y,
                     [&](T variance) { return 1 / sqrt(variance + eps); });
}

// dbeta = sum dy and dgamma = sum dy h over the rows, h = (x - mean) rstd with statistics of columns or of rows.
template <typename T, typename By, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) scale_gradients(
        const T* __restrict__ x, const T* __restrict__ mean, const T* __restrict__ rstd, const T* __restrict__ dy,
        T* __restrict__ dgamma, T* __restrict__ dbeta, Index rows, Index columns, int width, Index rows_per_block,
        T* partials, unsigned* arrivals) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    T sums[2 * WIDTH] = {};  // of each column dbeta, then dgamma
    each_row<WIDTH>(tile, [&](Index row, Index i, auto move) {
        const auto values = move.load(x, i), slopes = move.load(dy, i);
        for (int k = 0; k < WIDTH; ++k) {
            const Index s = By::of(row, tile.column * WIDTH + k);
            sums[k] += slopes[k];
            sums[WIDTH + k] += slopes[k] * ((values[k] - mean[s]) * rstd[s]);
        }
    }, x, dy);
    if (column_sum(tile, sums, partials, arrivals) && tile.leads)
        for (int k = 0; k < WIDTH; ++k) {
            dbeta[tile.column * WIDTH + k] = sums[k];
            dgamma[tile.column * WIDTH + k] = sums[WIDTH + k];
        }
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) batch_norm_slope(
        const T* __restrict__ x, const T* __restrict__ gamma, const T* __restrict__ mean,
        const T* __restrict__ rstd, const T* __restrict__ dy, const T* __restrict__ dgamma,
        const T* __restrict__ dbeta, T* __restrict__ dx, Index rows, Index columns, int width,
        Index rows_per_block) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    if (!tile.inside) return;
    T centre[WIDTH], scale[WIDTH], level[WIDTH], slope[WIDTH];
    for (int k = 0; k < WIDTH; ++k) {
        const Index c = tile.column * WIDTH + k;
        centre[k] = mean[c], scale[k] = gamma[c] * rstd[c];
        level[k] = dbeta[c] / T(rows), slope[k] = rstd[c] * (dgamma[c] / T(rows));
    }
    each_row<WIDTH>(tile, [&](Index, Index i, auto move) {
        const auto values = move.load(x, i);
        auto slopes = move.load(dy, i);
        for (int k = 0; k < WIDTH; ++k)
            slopes[k] = scale[k] * (slopes[k] - level[k] - (values[k] - centre[k]) * slope[k]);
        move.store(dx, i, slopes);
    }, x, dy, dx);
}

// ---- layer normalisation ----

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
