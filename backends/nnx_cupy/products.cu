// Matrix products for sizes at which a library's call costs more than the work, and where there is no library.
//
// What surrounds a product is done while its operands are loaded and its results stored: a dense layer is one launch
// forward, and one backward. Tiles and slabs: tiles.cuh.

// dz = dy f'(z) of a dense layer, from its output y.
template <typename T> struct Slope {
    const T *y, *dy;
    Index columns;
    int activation;
    T alpha;
    __device__ __forceinline__ T operator()(Index row, Index column) const {
        const Index i = row * columns + column;
        const T output = y[i];
        return dy[i] * with_activation(activation, [&](auto f) { return f.slope(output, output, alpha); });
    }
    __device__ __forceinline__ bool by_column() const { return true; }
};

// out = f(a @ b + bias)
template <typename T, int REACH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) product(
        const T* __restrict__ a, Index a_row, Index a_column, const T* __restrict__ b, Index b_row, Index b_column,
        const T* __restrict__ bias, int biased, T* __restrict__ out, Index rows, Index columns, Index depth,
        Index tiles, Index slices, int activation, T alpha, T* partials, unsigned* arrivals) {
    const Index slice = quotient(blockIdx.x, tiles), tile = blockIdx.x - slice * tiles;
    const Job job = job_of(tile, slice, columns, depth, slices, THREADS * REACH);
    __shared__ Slabs<T, REACH> slabs;
    T sums[REACH * REACH] = {};
    multiply<REACH>(slabs, sums, Matrix<T>{a, a_row, a_column}, Matrix<T>{b, b_row, b_column}, job, rows, columns,
             [](Index, const Slab<T, REACH>&) {});
    if (!join_slices(sums, tile, tiles, slice, slices, partials, arrivals)) return;
    each_sum<REACH>(sums, job, rows, columns, [&](Index row, Index column, T sum) {
        const T z = biased ? sum + bias[column] : sum;
        out[row * columns + column] = with_activation(activation, [&](auto f) { return f.value(z, alpha); });
    });
}

// The gradients of a dense layer: dw = x^T @ dz by the first `tiles * slices` blocks, dx = dz @ w^T by the others.
// dz is formed as it is loaded. The blocks of the first row of tiles of dw see all of it, once: they store it, and
// its sums over the examples.
template <typename T, int REACH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) dense_gradients(
        const T* __restrict__ x, Index x_row, Index x_column, const T* __restrict__ w, Index w_row, Index w_column,
        const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dz, int dz_wanted, T* __restrict__ dx,
        T* __restrict__ dw, T* __restrict__ db, int db_wanted, Index examples, Index inputs, Index outputs,
        Index tiles, Index slices, int activation, T alpha, T* partials, unsigned* arrivals) {
    constexpr int SIDE = THREADS * REACH, SUMS = REACH * REACH;
    const Slope<T> slope = {y, dy, outputs, activation, alpha};
    __shared__ Slabs<T, REACH> slabs;
    T sums[SUMS + 1] = {};  // the last: the sum of a column of dz, in the first SIDE threads
    if (blockIdx.x >= tiles * slices) {
        const Job job = job_of(blockIdx.x - tiles * slices, 0, inputs, outputs, 1, SIDE);
        multiply<REACH>(slabs, sums, slope, Matrix<T>{w, w_column, w_row}, job, examples, inputs,
                 [](Index, const Slab<T, REACH>&) {});
        each_sum<REACH>(sums, job, examples, inputs,
                        [&](Index row, Index column, T sum) { dx[row * inputs + column] = sum; });
        return;
    }
    const Index slice = quotient(blockIdx.x, tiles), tile = blockIdx.x - slice * tiles;
    const Job job = job_of(tile, slice, outputs, examples, slices, SIDE);
    const int thread = static_cast<int>(threadIdx.x);
    const auto keep = [&](Index k, const Slab<T, REACH>& slab) {
        if (job.row > 0) return;
        for (int i = thread; dz_wanted && i < DEPTH * SIDE; i += BLOCK) {
            const int side = i % SIDE, depth = i / SIDE;
            if (k + depth < job.end && job.column + side < outputs)
                dz[(k + depth) * outputs + job.column + side] = slab.element[depth][side];
        }
        for (int depth = 0; thread < SIDE && depth < DEPTH; ++depth) sums[SUMS] += slab.element[depth][thread];
    };
    multiply<REACH>(slabs, sums, Matrix<T>{x, x_column, x_row}, slope, job, inputs, outputs, keep);
    if (!join_slices(sums, tile, tiles, slice, slices, partials, arrivals)) return;
    each_sum<REACH>(sums, job, inputs, outputs,
                    [&](Index row, Index column, T sum) { dw[row * outputs + column] = sum; });
    const Index column = job.column + thread;
    if (db_wanted && job.row == 0 && thread < SIDE && column < outputs) db[column] = sums[SUMS];
}
