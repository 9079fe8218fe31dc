// Completing warp operations and barriers, and the order in which warps, lanes and blocks run.
// Part of fibers.h, inside namespace hostcuda.
#pragma once

struct Random {  // xorshift64: enough to shuffle with
    uint64_t state;
    unsigned below(unsigned bound) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<unsigned>((state >> 16) % bound);
    }
    void shuffle(unsigned* values, unsigned count) {
        for (unsigned i = count; i-- > 1;) {
            const unsigned j = below(i + 1), kept = values[i];
            values[i] = values[j];
            values[j] = kept;
        }
    }
};

template <typename Visit> inline void each_lane(unsigned mask, Visit visit) {
    for (; mask; mask &= mask - 1) visit(threads[warp_begin + static_cast<unsigned>(__builtin_ctz(mask))]);
}

inline unsigned lanes_in(State state) {
    unsigned mask = 0;
    for (unsigned lane = 0; lane < warp_size && warp_begin + lane < threads.size(); ++lane)
        mask |= static_cast<unsigned>(threads[warp_begin + lane].state == state) << lane;
    return mask;
}

inline unsigned lanes_present() {
    const unsigned long rest = threads.size() - warp_begin;
    return rest >= warp_size ? ~0u : (1u << rest) - 1u;
}

// The lanes that `leader` waits for, or 0 after reporting why they can never meet.
inline unsigned partners(const Thread& leader) {
    const unsigned need = leader.mask & lanes_present();
    const unsigned gone = need & lanes_in(State::done);
    const unsigned warp = warp_begin / warp_size;
    if (!(need >> leader.linear % warp_size & 1))
        report("line %d: lane %u of warp %u calls a warp operation whose mask %08x leaves it out", leader.line,
               leader.linear % warp_size, warp, leader.mask);
    else if (gone)
        report("line %d: a warp operation of warp %u has mask %08x, but lanes %08x of it have exited",
               leader.line, warp, leader.mask, gone);
    each_lane(need & lanes_in(State::warp), [&](const Thread& other) {
        if (other.vote != leader.vote || other.mask != leader.mask)
            report("lanes %u and %u of warp %u meet in different warp operations (lines %d and %d, masks "
                   "%08x and %08x)", leader.linear % warp_size, other.linear % warp_size, warp, leader.line,
                   other.line, leader.mask, other.mask);
    });
    return error[0] ? 0 : need;
}

inline void complete(unsigned need) {
    unsigned ballot = 0;
    each_lane(need, [&](const Thread& t) { ballot |= t.predicate << t.linear % warp_size; });
    each_lane(need, [&](Thread& t) {
        const bool defined = need >> t.source & 1;  // reading a lane outside the mask is undefined: poison
        t.result = t.vote == Vote::ballot ? ballot : defined ? threads[warp_begin + t.source].value : ~0ull;
    });
    each_lane(need, [](Thread& t) { t.state = State::ready; });
}

// Completes each warp operation whose participants have all arrived.
inline bool complete_warp(bool& progress) {
    unsigned waiters = lanes_in(State::warp);
    while (waiters) {
        const unsigned need = partners(threads[warp_begin + static_cast<unsigned>(__builtin_ctz(waiters))]);
        if (!need) return false;
        const bool arrived = (need & waiters) == need;
        if (arrived) complete(need), progress = true;
        waiters &= ~need;
    }
    return true;
}

inline bool run_warp(bool fresh) {
    if (fresh && !start_warp()) return false;
    for (bool progress = true; progress;) {
        if (!resume_warp(progress)) return false;
        if (!complete_warp(progress)) return false;
    }
    return true;
}

inline void report_divergence() {
    const unsigned total = static_cast<unsigned>(threads.size());
    int line = 0;
    for (const Thread& t : threads) if (t.state != State::done) line = t.line;
    report("divergence in block (%u,%u,%u): of %u threads %u wait at __syncthreads, %u have exited and %u wait in "
           "a warp operation (one of those waiting is at line %d)", block_index.x, block_index.y, block_index.z,
           total, waiting, total - live, live - waiting, line);
}

// Lets all threads pass a barrier, once every thread of the block stands at the same one.
inline bool open_barrier() {
    if (waiting != threads.size()) return report_divergence(), false;
    barrier_votes = 0;
    for (Thread& t : threads) {
        if (t.line != threads[0].line)
            return report("divergence in block (%u,%u,%u): thread 0 is at the __syncthreads of line %d, thread %u at "
                          "that of line %d", block_index.x, block_index.y, block_index.z, threads[0].line,
                          t.linear, t.line), false;
        barrier_votes += static_cast<int>(t.predicate);
        t.state = State::ready;
    }
    waiting = 0;
    return true;
}

struct Schedule {  // seed 0 in order, seed 1 reversed, others shuffled anew between two barriers
    unsigned seed;
    Random random;
    std::vector<unsigned> warps;

    Schedule(unsigned seed_, unsigned block) : seed(seed_), random{(seed_ + 1ull) * 0x9e3779b97f4a7c15ull ^ block} {
        const unsigned count = (static_cast<unsigned>(threads.size()) + warp_size - 1) / warp_size;
        for (unsigned i = 0; i < count; ++i) warps.push_back(seed == 1 ? count - 1 - i : i);
        for (unsigned i = 0; i < warp_size; ++i) lanes[i] = seed == 1 ? warp_size - 1 - i : i;
    }

    void shuffle() {
        if (seed < 2) return;
        random.shuffle(warps.data(), static_cast<unsigned>(warps.size()));
        random.shuffle(lanes, warp_size);
    }
};

inline void poison_shared() {
    memset(dynamic_shared, poison, dynamic_bytes + guard_bytes);
    for (const Shared& variable : static_shared) memset(variable.address, poison, variable.bytes);
}

inline bool check_guard() {
    for (size_t i = 0; i < guard_bytes; ++i)
        if (dynamic_shared[dynamic_bytes + i] != static_cast<char>(poison))
            return report("block (%u,%u,%u) writes beyond its %zu bytes of dynamic shared memory", block_index.x,
                          block_index.y, block_index.z, dynamic_bytes), false;
    return true;
}

inline bool run_block(unsigned seed, unsigned block) {
    for (Thread& t : threads) t.state = State::fresh;
    live = static_cast<unsigned>(threads.size());
    waiting = 0;
    poison_shared();
    Schedule schedule(seed, block);
    for (bool fresh = true; live; fresh = false) {
        schedule.shuffle();
        for (unsigned warp : schedule.warps) {
            warp_begin = warp * warp_size;
            if (!run_warp(fresh)) return false;
        }
        if (live && !open_barrier()) return false;
    }
    return check_guard();
}
