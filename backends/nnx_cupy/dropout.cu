// Counter-based random bits: Philox4x64-10 (Salmon et al. 2011).

constexpr int LANES = 16;  // of 16 bits, in the four words of a block of random bits

struct Words { unsigned long long word[4]; };

__device__ __forceinline__ Words philox(
        unsigned long long block, unsigned long long sample, unsigned long long step, unsigned long long seed,
        unsigned long long stream) {
    constexpr unsigned long long even = 0xD2E7470EE14C6C93ULL, odd = 0xCA5A826395121157ULL;
    unsigned long long c0 = block, c1 = sample, c2 = step, c3 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high0 = __umul64hi(even, c0), low0 = even * c0;
        const unsigned long long high1 = __umul64hi(odd, c2), low1 = odd * c2;
        c0 = high1 ^ c1 ^ seed, c1 = low1, c2 = high0 ^ c3 ^ stream, c3 = low0;
        seed += 0x9E3779B97F4A7C15ULL, stream += 0xBB67AE8584CAA73BULL;
    }
    return {{c0, c1, c2, c3}};
}

// Calls use(i, move, bits) for every pack of elements of a (rows, features) matrix; element i + k has bits(k).
// Every thread computes one Philox block; the words go through shared memory, so that neighbouring threads then
// handle neighbouring packs.
template <typename T, typename Use, typename... Arrays>
__device__ __forceinline__ void each_lane(const Index* step, Index rows, Index features, unsigned long long seed,
                                          unsigned long long stream, Index sample, Use use, const Arrays*... arrays) {
    constexpr int WIDTH = PACK<T>;  // at most four: the lanes of a pack lie in one word
    __shared__ Words words[BLOCK];
    __shared__ Index starts[BLOCK];
    __shared__ int counts[BLOCK];
    const int thread = static_cast<int>(threadIdx.x);
    const bool aligned = all_aligned(arrays...);
    const Index blocks = (features + LANES - 1) / LANES, total = rows * blocks;
    for (Index base = static_cast<Index>(blockIdx.x) * BLOCK; base < total; base += element_stride()) {
        const Index mine = base + thread, row = quotient(mine, blocks), block = mine - row * blocks;
        words[thread] = philox(block, sample + row, *step, seed, stream);
        starts[thread] = row * features + block * LANES;
        counts[thread] = mine < total ? static_cast<int>(smaller(LANES, features - block * LANES)) : 0;
        __syncthreads();
#pragma unroll 1  // more at once would spill registers on some GPUs
        for (int pack = thread; pack < BLOCK * LANES / WIDTH; pack += BLOCK) {
            const int from = pack * WIDTH / LANES, place = pack * WIDTH % LANES;
            const unsigned long long word = words[from].word[place / 4] >> 16 * (place % 4);
            const auto bits = [&](int k) { return static_cast<int>(word >> 16 * k & 0xffff); };
            const Index i = starts[from] + place;
            if (place + WIDTH <= counts[from] && aligned && i % WIDTH == 0) use(i, Whole<WIDTH>(), bits);
            else if (place < counts[from]) use(i, Pieces<WIDTH>{starts[from] + counts[from]}, bits);
        }
        __syncthreads();
    }
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) random_bits(
        const Index* __restrict__ step, T* __restrict__ out, Index rows, Index features, unsigned long long seed,
        unsigned long long stream) {
    each_lane<T>(step, rows, features, seed, stream, 0, [&](Index i, auto move, auto bits) {
        Pack<T> values;
        for (int k = 0; k < move.width; ++k) values[k] = bits(k);
        move.store(out, i, values);
    }, out);
}

template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) dropout(
        const T* __restrict__ x, const Index* __restrict__ step, T* __restrict__ y, Index rows, Index features,
        unsigned long long seed, unsigned long long stream, Index sample, int threshold, T scale) {
    each_lane<T>(step, rows, features, seed, stream, sample, [&](Index i, auto move, auto bits) {
        auto values = move.load(x, i);
        for (int k = 0; k < move.width; ++k) values[k] = bits(k) < threshold ? values[k] * scale : T(0);
        move.store(y, i, values);
    }, x, y);
}

// Whole channels of (rows, places, channels): a block has the places of a range of one row, for up to CHANNELS
// channels, whose random bits it makes once and keeps as one bit each. WIDTH neighbouring channels are moved at once.
constexpr int CHANNELS = BLOCK * LANES;

template <typename T, int WIDTH>
__global__ void __launch_bounds__(BLOCK, RESIDENT) channel_dropout(
        const T* __restrict__ x, const Index* __restrict__ step, T* __restrict__ y, Index places, Index channels,
        Index range, unsigned long long seed, unsigned long long stream, Index sample, int threshold, T scale) {
    __shared__ unsigned kept[BLOCK];
    const int thread = static_cast<int>(threadIdx.x);
    const Index ranges = (places + range - 1) / range, row = blockIdx.x / ranges;
    const Index begin = (blockIdx.x - row * ranges) * range, end = smaller(places, begin + range);
    const Index first = static_cast<Index>(blockIdx.y) * CHANNELS, count = smaller(CHANNELS, channels - first);
    if (thread * LANES < count) {
        const Words words = philox(first / LANES + thread, sample + row, *step, seed, stream);
        unsigned bits = 0;
#pragma unroll
        for (int i = 0; i < LANES; ++i)
            bits |= static_cast<unsigned>(static_cast<int>(words.word[i / 4] >> 16 * (i % 4) & 0xffff) < threshold) << i;
        kept[thread] = bits;
    }
    __syncthreads();
    const Whole<WIDTH> move;
    const Index packs = count / WIDTH;
    for (Index i = thread; i < (end - begin) * packs; i += BLOCK) {
        const Index place = quotient(i, packs), channel = (i - place * packs) * WIDTH;
        const Index at = (row * places + begin + place) * channels + first + channel;
        const unsigned bits = kept[channel / LANES] >> channel % LANES;
        auto values = move.load(x, at);
        for (int k = 0; k < WIDTH; ++k) values[k] = bits >> k & 1 ? values[k] * scale : T(0);
        move.store(y, at, values);
    }
}
