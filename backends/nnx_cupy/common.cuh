// What every kernel builds on. Each .cu file is compiled with this text in front of it.
//
// Blocks have BLOCK threads in one dimension. Elements are walked by grid-stride loops, rows of a matrix by
// teams of threads, columns by tiles. Sums are formed in an order that depends on the sizes alone: a block
// leaves its part in `partials`, and the block that arrives last adds up all parts, always in the same order.

typedef long long Index;
constexpr int BLOCK = 256;
constexpr int WARP = 32;
constexpr int WARPS = BLOCK / WARP;
constexpr int RESIDENT = 3;  // blocks that fit on a multiprocessor: 80 registers a thread, enough to spill none
constexpr unsigned ALL_LANES = 0xffffffffu;

template <typename T> __device__ __forceinline__ T infinity();
template <> __device__ __forceinline__ float infinity<float>() { return __int_as_float(0x7f800000); }
template <> __device__ __forceinline__ double infinity<double>() {
    return __longlong_as_double(0x7ff0000000000000LL);
}

__device__ __forceinline__ Index smaller(Index a, Index b) { return a < b ? a : b; }

// i / n for numbers that are not negative: a 64-bit division is a long subroutine, and 32 bits nearly always do.
__device__ __forceinline__ Index quotient(Index i, Index n) {
    return (i | n) >> 32 ? i / n : static_cast<Index>(static_cast<unsigned>(i) / static_cast<unsigned>(n));
}

// Grid-stride loop over elements: for (Index i = first_element(); i < n; i += element_stride()).
__device__ __forceinline__ Index first_element() { return static_cast<Index>(blockIdx.x) * BLOCK + threadIdx.x; }
__device__ __forceinline__ Index element_stride() { return static_cast<Index>(gridDim.x) * BLOCK; }

// ---- packs: memory is fastest in accesses of 16 bytes ----

template <typename T> constexpr int PACK = 16 / sizeof(T);

template <typename T, int WIDTH = PACK<T>> struct alignas(WIDTH * sizeof(T)) Pack {
    T item[WIDTH];
    __device__ __forceinline__ T& operator[](int i) { return item[i]; }
    __device__ __forceinline__ const T& operator[](int i) const { return item[i]; }
};

template <typename... Arrays> __device__ __forceinline__ bool all_aligned(const Arrays*... arrays) {
    return (... && (reinterpret_cast<size_t>(arrays) % 16 == 0));
}

// How WIDTH neighbouring elements are moved: in one access, or, where they lie anyhow or are fewer, one by one.
template <int WIDTH> struct Whole {
    static constexpr int width = WIDTH;
    template <typename T> __device__ __forceinline__ Pack<T, WIDTH> load(const T* at, Index i) const {
        return *reinterpret_cast<const Pack<T, WIDTH>*>(at + i);
    }
    template <typename T> __device__ __forceinline__ void store(T* at, Index i, const Pack<T, WIDTH>& pack) const {
        *reinterpret_cast<Pack<T, WIDTH>*>(at + i) = pack;
    }
    __device__ __forceinline__ bool holds(Index) const { return true; }
};

template <int WIDTH> struct Pieces {
    static constexpr int width = WIDTH;
    Index end;  // of the array; what would lie beyond reads as 0
    template <typename T> __device__ __forceinline__ Pack<T, WIDTH> load(const T* at, Index i) const {
        Pack<T, WIDTH> pack;
        for (int k = 0; k < WIDTH; ++k) pack[k] = i + k < end ? at[i + k] : T(0);
        return pack;
    }
    template <typename T> __device__ __forceinline__ void store(T* at, Index i, const Pack<T, WIDTH>& pack) const {
        for (int k = 0; k < WIDTH; ++k)
            if (i + k < end) at[i + k] = pack[k];
    }
    __device__ __forceinline__ bool holds(Index i) const { return i < end; }
};

// Calls visit(i, move) for every pack of n elements, which `move` loads and stores from i on. Where the arrays lie
// changes how packs are moved, but not which thread handles which elements.
template <typename T, typename Visit, typename... Arrays>
__device__ __forceinline__ void each_pack(Index n, Visit visit, const Arrays*... arrays) {
    constexpr int WIDTH = PACK<T>;
    const bool aligned = all_aligned(arrays...);
    for (Index i = first_element() * WIDTH; i < n; i += element_stride() * WIDTH) {
        if (aligned && i + WIDTH <= n) visit(i, Whole<WIDTH>());
        else visit(i, Pieces<WIDTH>{n});
    }
}

// ---- teams: TEAM threads (a warp or the whole block) share the elements of one row ----

template <int TEAM> __device__ __forceinline__ Index first_row() {
    return static_cast<Index>(blockIdx.x) * (BLOCK / TEAM) + threadIdx.x / TEAM;
}
template <int TEAM> __device__ __forceinline__ Index row_stride() {
    return static_cast<Index>(gridDim.x) * (BLOCK / TEAM);
}
template <int TEAM> __device__ __forceinline__ int team_lane() { return static_cast<int>(threadIdx.x) % TEAM; }

template <typename T> __device__ __forceinline__ T from_lane_across(T value, int offset) {
    return __shfl_xor_sync(ALL_LANES, value, offset);
}

// Combines the values of a team's threads; all of them get the result.
template <int TEAM, typename T, typename Combine>
__device__ __forceinline__ T team_reduce(T value, Combine combine) {
    static_assert(TEAM == WARP || TEAM == BLOCK, "a team is a warp or a block");
    for (int offset = WARP / 2; offset > 0; offset /= 2) value = combine(value, from_lane_across(value, offset));
    if constexpr (TEAM == BLOCK) {
        __shared__ T parts[WARPS];
        __syncthreads();  // an earlier call may still be reading
        if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
        __syncthreads();
        value = parts[0];
        for (int warp = 1; warp < WARPS; ++warp) value = combine(value, parts[warp]);
    }
    return value;
}

template <int TEAM, typename T> __device__ __forceinline__ T team_sum(T value) {
    return team_reduce<TEAM>(value, [](T a, T b) { return a + b; });
}

// The largest value; a NaN may be passed over.
template <int TEAM, typename T> __device__ __forceinline__ T team_max(T value) {
    return team_reduce<TEAM>(value, [](T a, T b) { return a < b ? b : a; });
}

// ---- sums over a block, over the grid, and over the rows of each column ----

// Sums over those threads of a block that agree in threadIdx.x % width (a power of two up to WARP); all get it.
template <typename T> __device__ __forceinline__ T block_sum(T value, int width = 1) {
    __shared__ T parts[BLOCK];
    const int lane = static_cast<int>(threadIdx.x) % WARP, warp = static_cast<int>(threadIdx.x) / WARP;
    for (int offset = WARP / 2; offset >= width; offset /= 2) value += __shfl_xor_sync(ALL_LANES, value, offset);
    __syncthreads();  // an earlier call may still be reading
    if (lane < width) parts[warp * width + lane] = value;
    __syncthreads();
    T total = 0;
    for (int other = 0; other < WARPS; ++other) total += parts[other * width + (lane & (width - 1))];
    return total;
}

// True in all threads of that one of `blocks` blocks which comes here last, and so sees what all others wrote
// before. The counter is zero again afterwards.
__device__ __forceinline__ bool arrives_last(unsigned* arrivals, unsigned blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicInc(arrivals, blocks - 1) == blocks - 1;
    __syncthreads();
    __threadfence();
    return last;
}

// Sums K values over the grid; true in the threads of the one block that holds the sums.
template <typename T, int K>
__device__ __forceinline__ bool grid_sum(T (&values)[K], T* partials, unsigned* arrivals) {
    for (int k = 0; k < K; ++k) values[k] = block_sum(values[k]);
    if (gridDim.x == 1) return true;
    if (threadIdx.x == 0)
        for (int k = 0; k < K; ++k) partials[blockIdx.x * K + k] = values[k];
    if (!arrives_last(arrivals, gridDim.x)) return false;
    for (int k = 0; k < K; ++k) {
        T sum = 0;
        for (unsigned block = threadIdx.x; block < gridDim.x; block += BLOCK)
            sum += __ldcg(partials + block * K + k);
        values[k] = block_sum(sum);
    }
    return true;
}

// The part of a matrix that one block works on: `width` columns by a range of rows, one column to a thread. Where
// a thread has several neighbouring columns, all these numbers of columns are numbers of such packs.
struct Tile {
    Index columns, column, row, end, step;
    int width;
    bool inside, leads;  // leads: the one thread that writes the results of its column
};

template <int WIDTH>
__device__ __forceinline__ Tile tile_of(Index rows, Index elements, int width, Index rows_per_block) {
    const int thread = static_cast<int>(threadIdx.x);
    const Index columns = elements / WIDTH, begin = blockIdx.y * rows_per_block;
    const Index column = static_cast<Index>(blockIdx.x) * width + thread % width;
    const bool inside = column < columns;
    return {columns, column, begin + thread / width, smaller(rows, begin + rows_per_block), BLOCK / width,
            width, inside, inside && thread < width};
}

// Calls visit(row, i, move) for each of the tile's rows, where `move` loads and stores the thread's columns at i.
template <int WIDTH, typename Visit, typename... Arrays>
__device__ __forceinline__ void each_row(const Tile& tile, Visit visit, const Arrays*... arrays) {
    if (!tile.inside) return;
    const bool whole = WIDTH == 1 || all_aligned(arrays...);
    for (Index row = tile.row; row < tile.end; row += tile.step) {
        const Index i = (row * tile.columns + tile.column) * WIDTH;
        if (whole) visit(row, i, Whole<WIDTH>());
        else visit(row, i, Pieces<WIDTH>{i + WIDTH});
    }
}

// Leaves K values per column where the last block of the column finds them; true in the threads of that block.
template <typename T, int K>
__device__ __forceinline__ bool hand_over(const Tile& tile, const T (&values)[K], T* partials, unsigned* arrivals) {
    if (tile.leads)
        for (int k = 0; k < K; ++k)
            partials[(static_cast<Index>(blockIdx.y) * K + k) * tile.columns + tile.column] = values[k];
    return arrives_last(arrivals + blockIdx.x, gridDim.y);
}

// Sums what `part(block)` gives for each of the gridDim.y blocks that shared a column.
template <typename T, typename Part> __device__ __forceinline__ T sum_of_parts(const Tile& tile, Part part) {
    T sum = 0;
    if (tile.inside)
        for (Index block = threadIdx.x / tile.width; block < gridDim.y; block += tile.step) sum += part(block);
    return block_sum(sum, tile.width);
}

// Sums K values over the rows of each column; true in the threads of the block that holds the sums.
template <typename T, int K>
__device__ __forceinline__ bool column_sum(const Tile& tile, T (&values)[K], T* partials, unsigned* arrivals) {
    for (int k = 0; k < K; ++k) values[k] = block_sum(values[k], tile.width);
    if (gridDim.y == 1) return true;
    if (!hand_over(tile, values, partials, arrivals)) return false;
    for (int k = 0; k < K; ++k)
        values[k] = sum_of_parts<T>(tile, [&](Index block) {
            return __ldcg(partials + (block * K + k) * tile.columns + tile.column);
        });
    return true;
}
