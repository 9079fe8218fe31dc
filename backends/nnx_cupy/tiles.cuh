// Products by tiles, for matrices that lie in memory or are formed as they are loaded.
//
// A block computes a tile of SIDE by SIDE elements, each thread REACH by REACH of them, from slabs of DEPTH that go
// through shared memory. Where tiles are few and sums long, blocks share the sums of a tile: each leaves its part,
// and the last to arrive adds all parts in order.

constexpr int DEPTH = 32;
constexpr int THREADS = 16;  // along each side of a tile
constexpr int PRODUCTS = 2;  // blocks on a multiprocessor: 128 registers a thread, for the sums

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

// The same by packs of WIDTH, of which none lies partly outside; at(side, depth) gives a pack of neighbours.
template <bool ALONG_DEPTH, int WIDTH, typename T, int REACH, typename At>
__device__ __forceinline__ void load_packs(Slab<T, REACH>& slab, Index sides, Index depths, At at) {
    constexpr int SIDE = THREADS * REACH, ROW = (ALONG_DEPTH ? DEPTH : SIDE) / WIDTH;
#pragma unroll 4  // more on the way at once would spill registers
    for (int first = 0; first < DEPTH * SIDE / WIDTH; first += BLOCK) {
        const int i = first + static_cast<int>(threadIdx.x);
        const int side = ALONG_DEPTH ? i / ROW : i % ROW * WIDTH, depth = ALONG_DEPTH ? i % ROW * WIDTH : i / ROW;
        if (DEPTH * SIDE / WIDTH % BLOCK != 0 && i >= DEPTH * SIDE / WIDTH) break;
        Pack<T, WIDTH> pack = {};
        if (side < sides && depth < depths) pack = at(side, depth);
#pragma unroll
        for (int k = 0; k < WIDTH; ++k)
            slab.element[depth + (ALONG_DEPTH ? k : 0)][side + (ALONG_DEPTH ? 0 : k)] = pack[k];
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

// Adds the products of the slabs of a job to `sums`. `fill(k)` loads the slabs that begin at k, and `watch(k, slab)`
// sees those on the right.
template <int REACH, typename T, int COUNT, typename Fill, typename Watch>
__device__ __forceinline__ void multiply(Slabs<T, REACH>& slabs, T (&sums)[COUNT], const Job& job, Fill fill,
                                         Watch watch) {
    const int y = static_cast<int>(threadIdx.x) / THREADS, x = static_cast<int>(threadIdx.x) % THREADS;
    for (Index k = job.begin; k < job.end; k += DEPTH) {
        __syncthreads();  // the slabs of before may still be read
        fill(k);
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

// The same for slabs of a(row, k) and b(k, column).
template <int REACH, typename T, int COUNT, typename A, typename B, typename Watch>
__device__ __forceinline__ void multiply(Slabs<T, REACH>& slabs, T (&sums)[COUNT], const A& a, const B& b,
                                         const Job& job, Index rows, Index columns, Watch watch) {
    const auto fill = [&](Index k) {
        load(slabs.left, rows - job.row, job.end - k, a.by_column(),
             [&](int side, int depth) { return a(job.row + side, k + depth); });
        load(slabs.right, columns - job.column, job.end - k, !b.by_column(),
             [&](int side, int depth) { return b(k + depth, job.column + side); });
    };
    multiply<REACH>(slabs, sums, job, fill, watch);
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

