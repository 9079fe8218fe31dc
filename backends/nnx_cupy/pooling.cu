// Pooling: each thread makes WIDTH neighbouring channels of one place, or of one pixel on the way back.

constexpr int AVERAGING = 2;  // blocks on a multiprocessor: 128 registers a thread, for divisions and loads at once

// Calls visit(i, channel) for every pack of channels of n places or pixels.
template <int WIDTH, typename Visit>
__device__ __forceinline__ void each_of(Index n, Index channels, Visit visit) {
    const Index packs = channels / WIDTH;
    for (Index i = first_element(); i < n * packs; i += element_stride()) {
        const Index at = quotient(i, packs);
        visit(at, (i - at * packs) * WIDTH);
    }
}

// Those pixels under a place, along one axis, that lie inside of the image: from `begin` to before `end`.
struct Span { int begin, end; };

__device__ __forceinline__ Span span_of(int corner, int taps, int extent) {
    return {corner < 0 ? 0 : corner, corner + taps < extent ? corner + taps : extent};
}

__device__ __forceinline__ int length(const Span& span) { return span.end - span.begin; }

// The places along one axis that hold a padded pixel.
__device__ __forceinline__ Span holders_of(int padded, int taps, int stride, int places) {
    const int first = padded - taps + 1, last = padded / stride;
    return {first <= 0 ? 0 : (first + stride - 1) / stride, last < places ? last + 1 : places};
}

// Calls visit(pixel, tap) for the pixels of a place, in the order of the taps; returns their number.
template <typename Visit>
__device__ __forceinline__ int each_pixel(const Window& window, const Place& corner, Visit visit) {
    const Span rows = span_of(corner.down, window.taps_down, window.height);
    const Span columns = span_of(corner.along, window.taps_along, window.width);
    for (int row = rows.begin; row < rows.end; ++row)
        for (int column = columns.begin; column < columns.end; ++column)
            visit((corner.image * window.height + row) * window.width + column,
                  (row - corner.down) * window.taps_along + column - corner.along);
    return length(rows) * length(columns);
}

// Calls visit(place, p, q) for the places p, q that hold a pixel.
template <typename Visit>
__device__ __forceinline__ void each_holder(const Window& window, const Place& pixel, Visit visit) {
    const Span down = holders_of(pixel.down, window.taps_down, window.stride_down, window.places_down);
    const Span along = holders_of(pixel.along, window.taps_along, window.stride_along, window.places_along);
    for (int p = down.begin; p < down.end; ++p)
        for (int q = along.begin; q < along.end; ++q)
            visit((pixel.image * window.places_down + p) * window.places_along + q, p, q);
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) max_pool(
        const T* __restrict__ x, T* __restrict__ y, int* __restrict__ index, WINDOW_PARAMETERS, Index channels) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    each_of<WIDTH>(window.places(), channels, [&](Index at, Index channel) {
        Pack<T, WIDTH> best = {};
        Pack<int, WIDTH> taps;
        for (int j = 0; j < WIDTH; ++j) taps[j] = -1;
        each_pixel(window, window.corner_of(at), [&](Index pixel, int tap) {
            const auto values = move.load(x, pixel * channels + channel);
            for (int j = 0; j < WIDTH; ++j)
                if (taps[j] < 0 || values[j] > best[j] || (isnan(values[j]) && !isnan(best[j])))
                    best[j] = values[j], taps[j] = tap;
        });
        move.store(y, at * channels + channel, best);
        move.store(index, at * channels + channel, taps);
    });
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) max_pool_backward(
        const int* __restrict__ index, const T* __restrict__ dy, T* __restrict__ dx, WINDOW_PARAMETERS,
        Index channels) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    each_of<WIDTH>(window.pixels(), channels, [&](Index at, Index channel) {
        const Place pixel = window.padded_pixel(at);
        Pack<T, WIDTH> sums = {};
        each_holder(window, pixel, [&](Index place, int p, int q) {
            const int row = pixel.down - p * window.stride_down, column = pixel.along - q * window.stride_along;
            const int tap = row * window.taps_along + column;
            const auto slopes = move.load(dy, place * channels + channel);
            const auto taps = move.load(index, place * channels + channel);
            for (int j = 0; j < WIDTH; ++j) sums[j] += taps[j] == tap ? slopes[j] : T(0);
        });
        move.store(dx, at * channels + channel, sums);
    });
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, AVERAGING) average_pool(
        const T* __restrict__ x, T* __restrict__ y, WINDOW_PARAMETERS, Index channels) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    each_of<WIDTH>(window.places(), channels, [&](Index at, Index channel) {
        Pack<T, WIDTH> sums = {};
        const int count = each_pixel(window, window.corner_of(at), [&](Index pixel, int) {
            const auto values = move.load(x, pixel * channels + channel);
            for (int j = 0; j < WIDTH; ++j) sums[j] += values[j];
        });
        for (int j = 0; j < WIDTH; ++j) sums[j] /= T(count);
        move.store(y, at * channels + channel, sums);
    });
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, AVERAGING) average_pool_backward(
        const T* __restrict__ dy, T* __restrict__ dx, WINDOW_PARAMETERS, Index channels) {
    const Window window = WINDOW;
    const Whole<WIDTH> move;
    each_of<WIDTH>(window.pixels(), channels, [&](Index at, Index channel) {
        const Place pixel = window.padded_pixel(at);
        Pack<T, WIDTH> sums = {};
        each_holder(window, pixel, [&](Index place, int p, int q) {
            const int row = p * window.stride_down - window.before_down;
            const int column = q * window.stride_along - window.before_along;
            const int count = length(span_of(row, window.taps_down, window.height)) *
                              length(span_of(column, window.taps_along, window.width));
            const auto slopes = move.load(dy, place * channels + channel);
            for (int j = 0; j < WIDTH; ++j) sums[j] += slopes[j] / T(count);
        });
        move.store(dx, at * channels + channel, sums);
    });
}
