// Tables of vectors: rows looked up, and their gradients summed in the order of the tokens, without atomics.

// Item is any type of the right size: elements are moved, not computed with, and as many at once as lie aligned.
template <typename Item>
__global__ void __launch_bounds__(BLOCK, RESIDENT) embedding(
        const Index* __restrict__ tokens, const Item* __restrict__ table, Item* __restrict__ y, Index n,
        Index columns) {
    for (Index i = first_element(); i < n; i += element_stride()) {
        const Index row = quotient(i, columns);
        y[i] = table[tokens[row] * columns + (i - row * columns)];
    }
}

constexpr int AHEAD = 4;  // gradients that a thread asks for before it adds the first
constexpr int EACH = 8;  // tokens that a thread looks at in a round
constexpr int ROUND = EACH * BLOCK;
template <typename T> constexpr int SUMS = 16384 / sizeof(T);  // of a block: rows of the table times columns

struct Hit {  // a token that is one of the block's rows
    int token, row;
};

// Lists, in their order, the tokens of a round that lie in the block's rows; returns their number.
__device__ __forceinline__ int find_hits(Hit* hits, const Index* tokens, Index begin, Index end, Index first,
                                         Index rows) {
    __shared__ int counts[WARPS];
    const int lane = static_cast<int>(threadIdx.x) % WARP, warp = static_cast<int>(threadIdx.x) / WARP;
    const unsigned before = (1u << lane) - 1;
    unsigned votes[EACH];
    Index row[EACH];
    int count = 0;
#pragma unroll
    for (int i = 0; i < EACH; ++i) {  // a warp has neighbouring tokens
        const Index token = begin + (warp * EACH + i) * WARP + lane;
        row[i] = token < end ? tokens[token] - first : -1;
        votes[i] = __ballot_sync(ALL_LANES, 0 <= row[i] && row[i] < rows);
        count += __popc(votes[i]);
    }
    if (lane == 0) counts[warp] = count;
    __syncthreads();
    int place = 0, total = 0;
    for (int other = 0; other < WARPS; ++other) {
        if (other < warp) place += counts[other];
        total += counts[other];
    }
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
        if (votes[i] >> lane & 1)
            hits[place + __popc(votes[i] & before)] = {(warp * EACH + i) * WARP + lane, static_cast<int>(row[i])};
        place += __popc(votes[i]);
    }
    __syncthreads();
    return total;
}

// A block has `held` rows of the table by `width` columns, and a slice of the tokens. It lists the tokens that are
// its rows, and threads side by side add up their gradients; each row belongs to one group of such threads.
template <typename T>
__global__ void __launch_bounds__(BLOCK, RESIDENT) embedding_backward(
        const Index* __restrict__ tokens, const T* __restrict__ dy, T* __restrict__ dtable, Index count,
        Index vocabulary, Index features, int width, Index tiles, Index slices, Index share, T* partials,
        unsigned* arrivals) {
    __shared__ T sums[SUMS<T>];
    __shared__ Hit hits[ROUND];
    const Index slice = quotient(blockIdx.x, tiles), tile = blockIdx.x - slice * tiles;
    const Index across = (features + width - 1) / width, down = quotient(tile, across);
    const int held = SUMS<T> / width, groups = BLOCK / width;
    const int group = static_cast<int>(threadIdx.x) / width, lane = static_cast<int>(threadIdx.x) % width;
    const Index first = down * held, rows = smaller(held, vocabulary - first);
    const Index column = (tile - down * across) * width + lane, end = smaller(count, (slice + 1) * share);
    for (int row = group; row < held; row += groups) sums[row * width + lane] = 0;
    for (Index begin = slice * share; begin < end; begin += ROUND) {
        const int found = find_hits(hits, tokens, begin, end, first, rows);
        for (int i = 0; column < features && i < found; i += AHEAD) {
            T values[AHEAD];
            bool own[AHEAD];
#pragma unroll
            for (int k = 0; k < AHEAD; ++k) {
                own[k] = i + k < found && hits[i + k].row % groups == group;
                if (own[k]) values[k] = dy[(begin + hits[i + k].token) * features + column];
            }
#pragma unroll
            for (int k = 0; k < AHEAD; ++k)
                if (own[k]) sums[hits[i + k].row * width + lane] += values[k];
        }
        __syncthreads();  // the list may still be read
    }
    const auto part = [&](Index of) { return partials + (of * tiles + tile) * SUMS<T>; };
    for (int row = group; slices > 1 && row < rows; row += groups) part(slice)[row * width + lane] = sums[row * width + lane];
    if (slices > 1 && !arrives_last(arrivals + tile, static_cast<unsigned>(slices))) return;
    for (int row = group; column < features && row < rows; row += groups) {
        T sum = slices > 1 ? T(0) : sums[row * width + lane];
        for (Index of = 0; slices > 1 && of < slices; ++of) sum += __ldcg(part(of) + row * width + lane);
        dtable[(first + row) * features + column] = sum;
    }
}
