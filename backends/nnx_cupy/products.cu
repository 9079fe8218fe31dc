// Matrix products for sizes at which a library's call costs more than the work, and where there is no library.
//
// A block computes a tile of SIDE by SIDE elements, each thread REACH by REACH of them, from slabs of DEPTH that go
// through shared memory. Where tiles are few and sums long, blocks share the sums of a tile: each leaves its part,
// and the last to arrive adds all parts in order. What surrounds a product is done while its operands are loaded
// and its results stored: a dense layer is one launch forward, and one backward.

constexpr int DEPTH = 32;
constexpr int THREADS = 16;  // along each side of a tile
constexpr int PRODUCTS = 2;  // blocks on a multiprocessor: 128 registers a thread, for the sums

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

// Operands as functions of (row, column); `by_column`: neighbours along a row are neighbours in memory.
template <typename T> struct Matrix {
    const T* elements;
    Index row_stride, column_stride;
    __device__ __forceinline__ T operator()(Index row, Index column) const {
        return elements[row * row_stride + column * column_stride];
    }
    __device__ __forceinline__ bool by_column() const { return column_stride == 1; }
    __device__ __forceinline__ Matrix transposed() const { return {elements, column_stride, row_stride}; }
};

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

template <typename T, int REACH> struct Slab { T element[DEPTH][THREADS * REACH + 1]; };  // + 1: spread over banks

template <typename T, int REACH> struct Slabs { Slab<T, REACH> left, right; };

// Loads DEPTH x SIDE elements: at(side, depth) where inside, else 0. Neighbouring threads read neighbours.
template <typename T, int REACH, typename At>
__device__ __forceinline__ void load(Slab<T, REACH>& slab, Index sides, Index depths, bool along_depth, At at) {
    constexpr int SIDE = THREADS * REACH;
    for (int i = static_cast<int>(threadIdx.x); i < DEPTH * SIDE; i += BLOCK) {
        const int side = along_depth ? i / DEPTH : i % SIDE, depth = along_depth ? i % DEPTH : i / SIDE;
        slab.element[depth][side] = side < sides && depth < depths ? at(side, depth) : T(0);
    }
}

// One block's place in a product: the first row and column of its tile, and the range of the sums it forms.
struct Job { Index row, column, begin, end; };

__device__ __forceinline__ Job job_of(Index tile, Index slice, Index columns, Index depth, Index slices, int side) {
    const Index across = (columns + side - 1) / side, tile_row = quotient(tile, across);
    const Index thickness = (quotient(depth + DEPTH - 1, DEPTH) + slices - 1) / slices * DEPTH;
    return {tile_row * side, (tile - tile_row * across) * side, smaller(depth, slice * thickness),
            smaller(depth, (slice + 1) * thickness)};
}

// Adds the products of a(row, k) and b(k, column) over the job's range to `sums`; `watch(k, slab)` sees each slab
// of b, whose rows begin at k.
template <int REACH, typename T, int COUNT, typename A, typename B, typename Watch>
__device__ __forceinline__ void multiply(Slabs<T, REACH>& slabs, T (&sums)[COUNT], const A& a, const B& b,
                                         const Job& job, Index rows, Index columns, Watch watch) {
    const int y = static_cast<int>(threadIdx.x) / THREADS, x = static_cast<int>(threadIdx.x) % THREADS;
    for (Index k = job.begin; k < job.end; k += DEPTH) {
        __syncthreads();  // the slabs of before may still be read
        load(slabs.left, rows - job.row, job.end - k, a.by_column(),
             [&](int side, int depth) { return a(job.row + side, k + depth); });
        load(slabs.right, columns - job.column, job.end - k, !b.by_column(),
             [&](int side, int depth) { return b(k + depth, job.column + side); });
        __syncthreads();
        watch(k, slabs.right);
#pragma unroll 8
        for (int depth = 0; depth < DEPTH; ++depth) {
            T across[REACH];
#pragma unroll
            for (int j = 0; j < REACH; ++j) across[j] = slabs.right.element[depth][x + THREADS * j];
#pragma unroll
            for (int i = 0; i < REACH; ++i) {
                const T down = slabs.left.element[depth][y + THREADS * i];
#pragma unroll
                for (int j = 0; j < REACH; ++j) sums[i * REACH + j] += down * across[j];
            }
        }
    }
}

// Adds up what the slices of a tile found; true in the threads of the block that has the result.
template <typename T, int COUNT>
__device__ __forceinline__ bool join_slices(T (&sums)[COUNT], Index tile, Index tiles, Index slice, Index slices,
                                            T* partials, unsigned* arrivals) {
    if (slices == 1) return true;
    const auto place = [&](Index of, int i) { return ((of * tiles + tile) * COUNT + i) * BLOCK + threadIdx.x; };
#pragma unroll
    for (int i = 0; i < COUNT; ++i) partials[place(slice, i)] = sums[i];
    if (!arrives_last(arrivals + tile, static_cast<unsigned>(slices))) return false;
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
        sums[i] = 0;
        for (Index other = 0; other < slices; ++other) sums[i] += __ldcg(partials + place(other, i));
    }
    return true;
}

// Calls store(row, column, sum) for each element of the tile that lies inside.
template <int REACH, typename T, int COUNT, typename Store>
__device__ __forceinline__ void each_sum(const T (&sums)[COUNT], const Job& job, Index rows, Index columns,
                                         Store store) {
    const int y = static_cast<int>(threadIdx.x) / THREADS, x = static_cast<int>(threadIdx.x) % THREADS;
#pragma unroll
    for (int i = 0; i < REACH * REACH; ++i) {
        const Index row = job.row + y + THREADS * (i / REACH), column = job.column + x + THREADS * (i % REACH);
        if (row < rows && column < columns) store(row, column, sums[i]);
    }
}

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
