// Recurrent networks: one launch takes whole sequences through all their steps. A block has SEQUENCES of them, so that
// none waits for another block. Their states lie in shared memory; the recurrent weights are read at every step, by
// neighbouring threads side by side, and serve all sequences of the block.

constexpr int RECURRENT = 2;  // blocks on a multiprocessor: 128 registers a thread, for sums of several sequences
constexpr int POOL = 5120;  // numbers of shared memory

// ---- the sequences of a block, and how its threads share the units ----

struct Sequences {
    const Index* lengths;
    int bounded;
    Index count;
    int steps, units, reverse;

    __device__ __forceinline__ int length(Index n) const {
        return n >= count ? 0 : bounded ? static_cast<int>(lengths[n]) : steps;
    }
    template <int SEQUENCES> __device__ __forceinline__ int longest(Index first) const {
        int most = 0;
        for (int s = 0; s < SEQUENCES; ++s) most = length(first + s) > most ? length(first + s) : most;
        return most;
    }
    // Whether a sequence begins with step t, and the step before it where it does not.
    __device__ __forceinline__ bool begins(int t, int length) const { return reverse ? t + 1 >= length : t == 0; }
    __device__ __forceinline__ int before(int t) const { return reverse ? t + 1 : t - 1; }
    __device__ __forceinline__ Index at(Index n, int t) const { return n * steps + t; }
};

// A thread has the units lane, lane + width, ...; where they are fewer than threads, `parts` threads share the sums
// of a unit, and each has some of the sequences.
struct Team {
    int width, parts, part, lane;
    __device__ __forceinline__ bool has(int sequence) const { return sequence % parts == part; }
};

__device__ __forceinline__ Team team_of(int units) {
    const int thread = static_cast<int>(threadIdx.x);
    int width = WARP;
    while (width < units && width < BLOCK) width *= 2;
    return {width, BLOCK / width, thread / width, thread % width};
}

// Calls visit(s, n, j) for each sequence, by its place in the block and by its number, and unit of a thread.
template <int SEQUENCES, typename Visit>
__device__ __forceinline__ void each_own(const Team& team, const Sequences& of, Visit visit) {
    for (int j = team.lane; j < of.units; j += team.width)
#pragma unroll
        for (int s = 0; s < SEQUENCES; ++s) {
            const Index n = static_cast<Index>(blockIdx.x) * SEQUENCES + s;
            if (n < of.count && team.has(s)) visit(s, n, j);
        }
}

// Adds to sums[s][g] a thread's part of the products of vectors[s] with the columns `gap` apart of a matrix.
template <int SEQUENCES, int GATES, typename T>
__device__ __forceinline__ void add_products(T (&sums)[SEQUENCES][GATES], const T* vectors, int length,
                                             const T* __restrict__ matrix, int row, int gap, const Team& team) {
    constexpr int AT_ONCE = SEQUENCES == 1 ? 4 : 2;  // rows of the matrix
#pragma unroll AT_ONCE
    for (int k = team.part; k < length; k += team.parts) {
        T factors[GATES];
#pragma unroll
        for (int g = 0; g < GATES; ++g) factors[g] = matrix[static_cast<Index>(k) * row + g * gap];
#pragma unroll
        for (int s = 0; s < SEQUENCES; ++s)
#pragma unroll
            for (int g = 0; g < GATES; ++g) sums[s][g] += vectors[s * length + k] * factors[g];
    }
}

// Joins the parts of all sums; afterwards each thread has those of its own sequences.
template <int SEQUENCES, int GATES, typename T>
__device__ __forceinline__ void join_parts(T (&sums)[SEQUENCES][GATES], T* joined, const Team& team) {
    if (team.parts == 1) return;
#pragma unroll
    for (int i = 0; i < SEQUENCES * GATES; ++i) joined[i * BLOCK + threadIdx.x] = sums[i / GATES][i % GATES];
    __syncthreads();
#pragma unroll
    for (int s = 0; s < SEQUENCES; ++s)
#pragma unroll
        for (int g = 0; g < GATES; ++g) {
            if (!team.has(s)) continue;
            sums[s][g] = 0;
            for (int part = 0; part < team.parts; ++part)
                sums[s][g] += joined[(s * GATES + g) * BLOCK + part * team.width + team.lane];
        }
}

// sums[s][g] for an s of run time: registers have no addresses.
template <int SEQUENCES, int GATES, typename T>
__device__ __forceinline__ T element(const T (&sums)[SEQUENCES][GATES], int s, int g) {
    T found = sums[0][g];
#pragma unroll
    for (int other = 1; other < SEQUENCES; ++other) found = s == other ? sums[other][g] : found;
    return found;
}

// ---- forward ----

template <typename T, typename Cell, int SEQUENCES>
__global__ void __launch_bounds__(BLOCK, RECURRENT) run_forward(
        const T* __restrict__ xw, const T* __restrict__ u, const T* __restrict__ bias, int biased,
        const Index* __restrict__ lengths, int bounded, const T* __restrict__ h0, int h_given,
        const T* __restrict__ c0, int c_given, T* y, T* __restrict__ gates, T* cells, T* __restrict__ h_last,
        T* __restrict__ c_last, Index count, int steps, int units, int reverse, int activation, T alpha, T* spare,
        int spared) {
    constexpr int GATES = Cell::GATES, JOINED = SEQUENCES * GATES * BLOCK;
    const Sequences all = {lengths, bounded, count, steps, units, reverse};
    const Team team = team_of(units);
    __shared__ T pool[POOL];
    T* states = team.parts > 1 ? pool + JOINED : pool;  // of before and after the step; nothing is joined by one
    if (spared) states = spare + static_cast<Index>(blockIdx.x) * 2 * SEQUENCES * units;
    T* next = states + SEQUENCES * units;
    const int longest = all.longest<SEQUENCES>(static_cast<Index>(blockIdx.x) * SEQUENCES);
    for (int i = static_cast<int>(threadIdx.x); i < SEQUENCES * units; i += BLOCK) states[i] = 0;
    __syncthreads();
    each_own<SEQUENCES>(team, all, [&](int s, Index n, int j) {
        if (h_given) states[s * units + j] = h0[n * units + j];
        if (Cell::CELL && all.length(n) == 0) c_last[n * units + j] = c_given ? c0[n * units + j] : T(0);
    });
    __syncthreads();
    const auto keep = [&](Index n, int t, int j, const Stepped<T>& made) {
        const Index at = all.at(n, t);
        y[at * units + j] = made.h;
        if (Cell::CELL) cells[at * units + j] = made.c;
        for (int k = 0; k < Cell::KEPT; ++k) gates[(at * Cell::KEPT + k) * units + j] = made.kept[k];
    };
    for (int step = 0; step < steps; ++step) {
        const int t = reverse ? steps - 1 - step : step;
        if (t >= longest) {
            each_own<SEQUENCES>(team, all, [&](int, Index n, int j) { keep(n, t, j, Stepped<T>{}); });
            continue;
        }
        for (int begin = 0; begin < units; begin += team.width) {
            const int j = begin + team.lane;
            const auto input = [&](Index n, int g) { return xw[(all.at(n, t) * GATES + g) * units + j]; };
            T sums[SEQUENCES][GATES] = {}, early[GATES] = {};
            if (SEQUENCES == 1 && j < units && team.has(0))  // asked for early: they come from far
                for (int g = 0; g < GATES; ++g) early[g] = input(blockIdx.x, g);
            if (j < units) add_products(sums, states, units, u + j, GATES * units, units, team);
            join_parts(sums, pool, team);
#pragma unroll 1  // all sequences at once would spill registers
            for (int s = 0; s < SEQUENCES; ++s) {
                const Index n = static_cast<Index>(blockIdx.x) * SEQUENCES + s;
                if (j >= units || !team.has(s) || n >= count) continue;
                const int length = all.length(n);
                Stepped<T> made = {};
                next[s * units + j] = states[s * units + j];
                if (t < length) {
                    T c = c_given ? c0[n * units + j] : T(0);
                    if (Cell::CELL && !all.begins(t, length)) c = cells[all.at(n, all.before(t)) * units + j];
                    T inputs[GATES], products[GATES];
#pragma unroll
                    for (int g = 0; g < GATES; ++g) {
                        inputs[g] = SEQUENCES == 1 ? early[g] : input(n, g);
                        products[g] = element(sums, s, g) + (biased ? bias[g * units + j] : T(0));
                    }
                    made = Cell::forward(inputs, products, states[s * units + j], c, activation, alpha);
                    next[s * units + j] = made.h;
                    if (Cell::CELL) c_last[n * units + j] = made.c;
                }
                keep(n, t, j, made);
            }
        }
        __syncthreads();
        T* const before = states;
        states = next, next = before;
    }
    each_own<SEQUENCES>(team, all, [&](int s, Index n, int j) { h_last[n * units + j] = states[s * units + j]; });
}

// ---- backward ----

template <typename T, typename Cell, int SEQUENCES>
__global__ void __launch_bounds__(BLOCK, RECURRENT) run_backward(
        const T* __restrict__ turned, const Index* __restrict__ lengths, int bounded, const T* __restrict__ h0,
        int h_given, const T* __restrict__ c0, int c_given, const T* __restrict__ y, const T* __restrict__ gates,
        const T* __restrict__ cells, const T* __restrict__ dy, int dy_given, const T* __restrict__ dh_last,
        int dh_given, const T* __restrict__ dc_last, int dc_given, T* __restrict__ dxw, T* __restrict__ dhu,
        T* __restrict__ dh0, int dh_wanted, T* __restrict__ dc0, int dc_wanted, Index count, int steps, int units,
        int reverse, int activation, T alpha, T* spare, int spared) {
    constexpr int GATES = Cell::GATES, EACH = SEQUENCES * (GATES + 2);
    const Sequences all = {lengths, bounded, count, steps, units, reverse};
    const Team team = team_of(units);
    __shared__ T pool[POOL];
    T* slopes = spared ? spare + static_cast<Index>(blockIdx.x) * EACH * units : pool + SEQUENCES * BLOCK;
    T *dh = slopes + SEQUENCES * GATES * units, *dc = dh + SEQUENCES * units;  // each number is one thread's own
    const int longest = all.longest<SEQUENCES>(static_cast<Index>(blockIdx.x) * SEQUENCES);
    for (int i = static_cast<int>(threadIdx.x); i < SEQUENCES * GATES * units; i += BLOCK) slopes[i] = 0;
    each_own<SEQUENCES>(team, all, [&](int s, Index n, int j) {
        dh[s * units + j] = dh_given ? dh_last[n * units + j] : T(0);
        dc[s * units + j] = dc_given ? dc_last[n * units + j] : T(0);
    });
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        const int t = reverse ? step : steps - 1 - step;
        each_own<SEQUENCES>(team, all, [&](int s, Index n, int j) {
            const Index at = all.at(n, t), i = s * units + j;
            const int length = all.length(n);
            Slopes<T, GATES> found = {};
            if (t < length) {
                const bool first = all.begins(t, length);
                const Index before = first ? n : all.at(n, all.before(t));
                Before<T> given = {dh[i] + (dy_given ? dy[at * units + j] : T(0)), dc[i], 0, 0, y[at * units + j]};
                if (Cell::PASSES && (!first || h_given)) given.h = (first ? h0 : y)[before * units + j];
                if (Cell::CELL && (!first || c_given)) given.c = (first ? c0 : cells)[before * units + j];
                if (Cell::CELL) given.cell = cells[at * units + j];
                for (int k = 0; k < Cell::KEPT; ++k) given.kept[k] = gates[(at * Cell::KEPT + k) * units + j];
                found = Cell::backward(given, activation, alpha);
                dh[i] = found.dh, dc[i] = found.dc;
            }
            for (int g = 0; g < GATES; ++g) {
                slopes[(s * GATES + g) * units + j] = found.products[g];
                dxw[(at * GATES + g) * units + j] = found.inputs[g];
                if (Cell::PASSES) dhu[(at * GATES + g) * units + j] = found.products[g];
            }
        });
        if (t >= longest) continue;
        __syncthreads();
        for (int begin = 0; begin < units; begin += team.width) {
            const int j = begin + team.lane;
            T sums[SEQUENCES][1] = {};
            if (j < units) add_products(sums, slopes, GATES * units, turned + j, units, 0, team);
            join_parts(sums, pool, team);
#pragma unroll
            for (int s = 0; s < SEQUENCES; ++s) {
                const Index n = static_cast<Index>(blockIdx.x) * SEQUENCES + s;
                if (j < units && team.has(s) && t < all.length(n)) dh[s * units + j] += sums[s][0];
            }
        }
        if (team.parts == 1) __syncthreads();  // the slopes may still be read; joining has waited for that
    }
    each_own<SEQUENCES>(team, all, [&](int s, Index n, int j) {
        if (dh_wanted) dh0[n * units + j] = dh[s * units + j];
        if (dc_wanted) dc0[n * units + j] = dc[s * units + j];
    });
}

// out = matrix^T by tiles of 32 by 32: the way back reads the weights by their other side.
template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) turn(
        const T* __restrict__ matrix, T* __restrict__ out, int rows, int columns) {
    __shared__ T tile[WARP][WARP + 1];
    const int lane = static_cast<int>(threadIdx.x) % WARP, warp = static_cast<int>(threadIdx.x) / WARP;
    const int row = static_cast<int>(blockIdx.y) * WARP, column = static_cast<int>(blockIdx.x) * WARP;
    for (int i = warp; i < WARP; i += WARPS)
        if (row + i < rows && column + lane < columns)
            tile[i][lane] = matrix[static_cast<Index>(row + i) * columns + column + lane];
    __syncthreads();
    for (int i = warp; i < WARP; i += WARPS)
        if (column + i < columns && row + lane < rows)
            out[static_cast<Index>(column + i) * rows + row + lane] = tile[lane][i];
}

// ---- the gradients of the recurrent weights: a product over all steps, in which h is y of the step before ----

template <typename T> struct StateBefore {
    Sequences all;
    const T *y, *h0;
    int h_given;
    __device__ __forceinline__ T operator()(Index unit, Index i) const {
        const Index n = quotient(i, all.steps);
        const int t = static_cast<int>(i - n * all.steps);
        if (all.begins(t, all.length(n))) return h_given ? h0[n * all.units + unit] : T(0);
        return y[all.at(n, all.before(t)) * all.units + unit];
    }
    __device__ __forceinline__ bool by_column() const { return false; }
};

// du = sum of h^T dz over sequences and steps, and on the way db, the sum of dz
template <typename T, int REACH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) recurrent_weights(
        const T* __restrict__ y, const T* __restrict__ h0, int h_given, const Index* __restrict__ lengths,
        int bounded, const T* __restrict__ dz, T* __restrict__ du, T* __restrict__ db, int db_wanted, Index count,
        int steps, int units, int reverse, Index columns, Index tiles, Index slices, T* partials,
        unsigned* arrivals) {
    constexpr int SIDE = THREADS * REACH, SUMS = REACH * REACH;
    const Index slice = quotient(blockIdx.x, tiles), tile = blockIdx.x - slice * tiles;
    const Job job = job_of(tile, slice, columns, count * steps, slices, SIDE);
    const StateBefore<T> states = {{lengths, bounded, count, steps, units, reverse}, y, h0, h_given};
    const int thread = static_cast<int>(threadIdx.x);
    __shared__ Slabs<T, REACH> slabs;
    T sums[SUMS + 1] = {};  // the last: the sum of a column of dz, in the first SIDE threads
    const auto add_column = [&](Index, const Slab<T, REACH>& slab) {
        if (job.row > 0 || thread >= SIDE) return;
        for (int depth = 0; depth < DEPTH; ++depth) sums[SUMS] += slab.element[depth][thread];
    };
    multiply<REACH>(slabs, sums, states, Matrix<T>{dz, columns, 1}, job, units, columns, add_column);
    if (!join_slices(sums, tile, tiles, slice, slices, partials, arrivals)) return;
    each_sum<REACH>(sums, job, units, columns,
                    [&](Index row, Index column, T sum) { du[row * columns + column] = sum; });
    const Index column = job.column + thread;
    if (db_wanted && job.row == 0 && thread < SIDE && column < columns) db[column] = sums[SUMS];
}
