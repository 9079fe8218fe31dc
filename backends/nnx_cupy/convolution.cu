// Convolution as a product that is never laid out: of the matrix whose rows are places and whose columns are taps and
// channels, the loader computes where an element lies. Where a group has few channels, tiles would be mostly
// empty: there each thread sums by itself.

// How far the tap of a row or column of such a product lies from the first one, its number, and the channel.
struct Tap { int down, along, number, channel; };

__device__ __forceinline__ Tap tap_of(const Window& window, Index i, int channels) {
    const int number = static_cast<int>(quotient(i, channels)), down = number / window.taps_along;
    return {down * window.dilation_down, (number - down * window.taps_along) * window.dilation_along, number,
            static_cast<int>(i - static_cast<Index>(number) * channels)};
}

// The places or pixels, and the taps, of the rows, columns and depths that a block works on: computed once for all
// its threads. Those along the depth are those of this slab and of the next.
template <int REACH> struct Outer {
    static constexpr int SIDE = THREADS * REACH;
    Place places[SIDE];
    Tap taps[2][DEPTH];
};
template <int REACH> struct Inner {
    static constexpr int SIDE = THREADS * REACH;
    Place places[2][DEPTH];
    Tap taps[SIDE];
};

// Fills the slabs of a product and looks up those of the next meanwhile: find(k, slab) for the depth k.
template <int REACH, typename T, int COUNT, typename Find, typename Fill, typename Watch>
__device__ __forceinline__ void multiply_found(Slabs<T, REACH>& slabs, T (&sums)[COUNT], const Job& job, Find find,
                                               Fill fill, Watch watch) {
    const int thread = static_cast<int>(threadIdx.x);
    int now = 0;
    if (thread < DEPTH) find(job.begin + thread, now, thread);
    multiply<REACH>(slabs, sums, job, [&](Index k) {
        if (thread < DEPTH) find(k + DEPTH + thread, 1 - now, thread);
        fill(k, now);
        now = 1 - now;
    }, watch);
}

// A block's share of the grid: first the slice, then the group, then the tile.
struct Share { Index slice, group, tile; };

__device__ __forceinline__ Share share_of(Index block, Index groups, Index tiles) {
    const Index slice = quotient(block, groups * tiles), rest = block - slice * groups * tiles;
    const Index group = quotient(rest, tiles);
    return {slice, group, rest - group * tiles};
}

// y = f(conv(x, w) + b), WIDTH neighbouring channels at once.
template <typename T, int REACH, int WIDTH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) convolve(
        const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias, int biased,
        T* __restrict__ y, WINDOW_PARAMETERS, Index groups, int inputs, int outputs, Index tiles, Index slices,
        int activation, T alpha, T* partials, unsigned* arrivals) {
    constexpr int SIDE = THREADS * REACH;
    const Window window = WINDOW;
    const Share share = share_of(blockIdx.x, groups, tiles);
    const Index rows = window.places(), depth = static_cast<Index>(window.taps()) * inputs;
    const Index all_inputs = groups * inputs, all_outputs = groups * outputs;
    const Index first_input = share.group * inputs, first_output = share.group * outputs;
    const Job job = job_of(share.tile, share.slice, outputs, depth, slices, SIDE);
    const int thread = static_cast<int>(threadIdx.x);
    __shared__ Slabs<T, REACH> slabs;
    __shared__ Outer<REACH> found;
    T sums[REACH * REACH] = {};
    if (thread < SIDE) found.places[thread] = window.corner_of(job.row + thread);
    const auto find = [&](Index k, int slab, int i) { found.taps[slab][i] = tap_of(window, k, inputs); };
    const auto fill = [&](Index k, int slab) {
        load_packs<true, WIDTH>(slabs.left, rows - job.row, job.end - k, [&](int side, int d) {
            const Tap& tap = found.taps[slab][d];
            const Index pixel = window.pixel(found.places[side], tap.down, tap.along);
            if (pixel < 0) return Pack<T, WIDTH>{};
            return Whole<WIDTH>().load(x, pixel * all_inputs + first_input + tap.channel);
        });
        load_packs<false, WIDTH>(slabs.right, outputs - job.column, job.end - k, [&](int side, int d) {
            return Whole<WIDTH>().load(w, (k + d) * all_outputs + first_output + job.column + side);
        });
    };
    multiply_found<REACH>(slabs, sums, job, find, fill, [](Index, const Slab<T, REACH>&) {});
    const Index tile = share.group * tiles + share.tile;
    if (!join_slices(sums, tile, groups * tiles, share.slice, slices, partials, arrivals)) return;
    each_sum<REACH>(sums, job, rows, outputs, [&](Index row, Index column, T sum) {
        const T z = biased ? sum + bias[first_output + column] : sum;
        y[row * all_outputs + first_output + column] =
            with_activation(activation, [&](auto f) { return f.value(z, alpha); });
    });
}

// dw: for each tap and channel the sums over all places, by the first `groups * tiles * slices` blocks. dx, by the
// others: each pixel sums over the taps and output channels that read it, so that nothing is written twice.
template <typename T, int REACH, int WIDTH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) convolve_backward(
        const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ dz, T* __restrict__ dx,
        T* __restrict__ dw, WINDOW_PARAMETERS, Index groups, int inputs, int outputs, Index tiles, Index slices,
        Index pixel_tiles, T* partials, unsigned* arrivals) {
    constexpr int SIDE = THREADS * REACH;
    const Window window = WINDOW;
    const Index all_inputs = groups * inputs, all_outputs = groups * outputs, blocks = groups * tiles * slices;
    const bool weights = blockIdx.x < blocks;
    const Share share = weights ? share_of(blockIdx.x, groups, tiles)
                                : share_of(blockIdx.x - blocks, groups, pixel_tiles);
    const Index first_input = share.group * inputs, first_output = share.group * outputs;
    const int thread = static_cast<int>(threadIdx.x);
    __shared__ Slabs<T, REACH> slabs;
    T sums[REACH * REACH] = {};
    if (weights) {
        const Index rows = static_cast<Index>(window.taps()) * inputs, depth = window.places();
        const Job job = job_of(share.tile, share.slice, outputs, depth, slices, SIDE);
        __shared__ Inner<REACH> found;
        if (thread < SIDE) found.taps[thread] = tap_of(window, job.row + thread, inputs);
        const auto find = [&](Index k, int slab, int i) { found.places[slab][i] = window.corner_of(k); };
        const auto fill = [&](Index k, int slab) {
            load_packs<false, WIDTH>(slabs.left, rows - job.row, job.end - k, [&](int side, int d) {
                const Tap& tap = found.taps[side];
                const Index pixel = window.pixel(found.places[slab][d], tap.down, tap.along);
                if (pixel < 0) return Pack<T, WIDTH>{};
                return Whole<WIDTH>().load(x, pixel * all_inputs + first_input + tap.channel);
            });
            load_packs<false, WIDTH>(slabs.right, outputs - job.column, job.end - k, [&](int side, int d) {
                return Whole<WIDTH>().load(dz, (k + d) * all_outputs + first_output + job.column + side);
            });
        };
        multiply_found<REACH>(slabs, sums, job, find, fill, [](Index, const Slab<T, REACH>&) {});
        const Index tile = share.group * tiles + share.tile;
        if (!join_slices(sums, tile, groups * tiles, share.slice, slices, partials, arrivals)) return;
        each_sum<REACH>(sums, job, rows, outputs, [&](Index row, Index column, T sum) {
            dw[row * all_outputs + first_output + column] = sum;
        });
        return;
    }
    const Index rows = window.pixels(), depth = static_cast<Index>(window.taps()) * outputs;
    const Job job = job_of(share.tile, 0, inputs, depth, 1, SIDE);
    __shared__ Outer<REACH> found;
    if (thread < SIDE) found.places[thread] = window.padded_pixel(job.row + thread);
    const auto find = [&](Index k, int slab, int i) { found.taps[slab][i] = tap_of(window, k, outputs); };
    const auto fill = [&](Index k, int slab) {
        load_packs<true, WIDTH>(slabs.left, rows - job.row, job.end - k, [&](int side, int d) {
            const Tap& tap = found.taps[slab][d];
            const Index place = window.place(found.places[side], tap.down, tap.along);
            if (place < 0) return Pack<T, WIDTH>{};
            return Whole<WIDTH>().load(dz, place * all_outputs + first_output + tap.channel);
        });
        load_packs<true, WIDTH>(slabs.right, inputs - job.column, job.end - k, [&](int side, int d) {
            const Tap& tap = found.taps[slab][d];  // w[k, l, c, o], with c along the side and o along the depth
            const Index row = static_cast<Index>(tap.number) * inputs + job.column + side;
            return Whole<WIDTH>().load(w, row * all_outputs + first_output + tap.channel);
        });
    };
    multiply_found<REACH>(slabs, sums, job, find, fill, [](Index, const Slab<T, REACH>&) {});
    each_sum<REACH>(sums, job, rows, inputs, [&](Index row, Index column, T sum) {
        dx[row * all_inputs + first_input + column] = sum;
    });
}

// dz = dy f'(y), stored unless it equals dy, and its sums over all places. It is formed once, in a pass of its own:
// the products above read it once for every tap.
template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) output_gradient(
        const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dz, int stored, T* __restrict__ sums,
        int summed, Index rows, Index columns, int width, Index rows_per_block, int activation, T alpha,
        T* partials, unsigned* arrivals) {
    const Tile tile = tile_of<WIDTH>(rows, columns, width, rows_per_block);
    T sum[WIDTH] = {};
    each_row<WIDTH>(tile, [&](Index, Index i, auto move) {
        auto slopes = move.load(dy, i);
        if (stored) {
            const auto outputs = move.load(y, i);
            with_activation(activation, [&](auto f) {
                for (int k = 0; k < WIDTH; ++k) slopes[k] *= f.slope(outputs[k], outputs[k], alpha);
            });
            move.store(dz, i, slopes);
        }
        for (int k = 0; k < WIDTH; ++k) sum[k] += slopes[k];
    }, y, dy, stored ? dz : y);
    if (summed && column_sum(tile, sum, partials, arrivals) && tile.leads)
        for (int k = 0; k < WIDTH; ++k) sums[tile.column * WIDTH + k] = sum[k];
}

// ---- groups of few channels; WIDTH of them at once if each is a group of its own ----

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) convolve_few(
        const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias, int biased,
        T* __restrict__ y, WINDOW_PARAMETERS, Index groups, int inputs, int outputs, int activation, T alpha) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    const Index all_inputs = groups * inputs, all_outputs = groups * outputs, packs = all_outputs / WIDTH;
    const Index n = window.places() * packs;
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index at = quotient(i, packs), output = (i - at * packs) * WIDTH;
        const T* channels = x + (WIDTH > 1 ? output : quotient(output, outputs) * inputs);
        const Place corner = window.corner_of(at);
        const T* weights = w + output;
        Pack<T, WIDTH> sums = {};
        for (int k = 0; k < window.taps_down; ++k)
            for (int l = 0; l < window.taps_along; ++l, weights += inputs * all_outputs) {
                const Index pixel = window.pixel(corner, k * window.dilation_down, l * window.dilation_along);
                for (int c = 0; pixel >= 0 && c < inputs; ++c) {
                    const auto values = move.load(channels, pixel * all_inputs + c);
                    const auto factors = move.load(weights, c * all_outputs);
                    for (int j = 0; j < WIDTH; ++j) sums[j] += values[j] * factors[j];
                }
            }
        with_activation(activation, [&](auto f) {
            for (int j = 0; j < WIDTH; ++j) sums[j] = f.value(biased ? sums[j] + bias[output + j] : sums[j], alpha);
        });
        move.store(y, at * all_outputs + output, sums);
    }
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, PRODUCTS) gradient_of_few(
        const T* __restrict__ w, const T* __restrict__ dz, T* __restrict__ dx, WINDOW_PARAMETERS, Index groups,
        int inputs, int outputs) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    const Index all_inputs = groups * inputs, all_outputs = groups * outputs, packs = all_inputs / WIDTH;
    const Index n = window.pixels() * packs;
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index at = quotient(i, packs), input = (i - at * packs) * WIDTH, group = quotient(input, inputs);
        const Index first = WIDTH > 1 ? input : group * outputs;
        const Place pixel = window.padded_pixel(at);
        const T* weights = w + (WIDTH > 1 ? 0 : input - group * inputs) * all_outputs + first;
        Pack<T, WIDTH> sums = {};
        for (int k = 0; k < window.taps_down; ++k)
            for (int l = 0; l < window.taps_along; ++l, weights += inputs * all_outputs) {
                const Index place = window.place(pixel, k * window.dilation_down, l * window.dilation_along);
                for (int o = 0; place >= 0 && o < outputs; ++o) {
                    const auto slopes = move.load(dz, place * all_outputs + first + o);
                    const auto factors = move.load(weights, o);
                    for (int j = 0; j < WIDTH; ++j) sums[j] += slopes[j] * factors[j];
                }
            }
        move.store(dx, at * all_inputs + input, sums);
    }
}

// dw: blocks share a tap and channel by the columns and rows of dz, as in all sums over rows.
template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) weights_of_few(
        const T* __restrict__ x, const T* __restrict__ dz, T* __restrict__ dw, WINDOW_PARAMETERS, Index groups,
        int inputs, int outputs, int tile_width, Index rows_per_block, T* partials, unsigned* arrivals) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    const Index all_inputs = groups * inputs, all_outputs = groups * outputs;
    const Tile tile = tile_of<WIDTH>(window.places(), all_outputs, tile_width, rows_per_block);
    const Index output = tile.column * WIDTH, left = static_cast<Index>(gridDim.y) * all_outputs;
    const T* channels = x + (WIDTH > 1 ? output : quotient(output, outputs) * inputs);
    for (Index row = blockIdx.z; row < static_cast<Index>(window.taps()) * inputs; row += gridDim.z) {
        const Tap tap = tap_of(window, row, inputs);
        T sums[WIDTH] = {};
        for (Index at = tile.row; tile.inside && at < tile.end; at += tile.step) {
            const Index pixel = window.pixel(window.corner_of(at), tap.down, tap.along);
            if (pixel < 0) continue;
            const auto values = move.load(channels, pixel * all_inputs + tap.channel);
            const auto slopes = move.load(dz, at * all_outputs + output);
            for (int j = 0; j < WIDTH; ++j) sums[j] += values[j] * slopes[j];
        }
        if (column_sum(tile, sums, partials + blockIdx.z * left, arrivals + blockIdx.z * gridDim.x) && tile.leads)
            for (int j = 0; j < WIDTH; ++j) dw[row * all_outputs + output + j] = sums[j];
    }
}
