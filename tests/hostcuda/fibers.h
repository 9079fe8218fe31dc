// One fiber per CUDA thread and the scheduler of one block.
//
// A thread runs until it waits (barrier, warp operation) or ends, and a warp runs as far as it can
// before the next one starts: the most uneven progress CUDA allows, so that a missing barrier shows.
// Threads that never wait run one after the other on a single stack, with no switch between them.
// All state is static: module.py lets one launch at a time into a library.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vector>

#if !defined(__x86_64__) || !defined(__linux__)
#error "hostcuda switches stacks with x86-64 Linux code only"
#endif

extern "C" __attribute__((visibility("hidden"))) void hostcuda_switch(void** save, void* load);
asm(R"(
.text
.local hostcuda_switch
.type hostcuda_switch, @function
hostcuda_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
)");

#define HOSTCUDA_UNCHECKED __attribute__((no_sanitize_address))

namespace hostcuda {

constexpr unsigned warp_size = 32;
constexpr size_t stack_bytes = 256 << 10, page_bytes = 4096, most_threads = 1024;
constexpr size_t largest_shared = 227 << 10, guard_bytes = 256;
constexpr int poison = 0xff;  // every float that was never written reads as NaN

enum class State : unsigned char { fresh, ready, barrier, warp, done };
enum class Vote : int { shuffle, ballot, sync };

struct Fiber {
    char* base;
    void* stack;
};

struct Thread {
    Fiber* fiber;
    uint3 index;
    unsigned linear;
    State state;
    int line;          // of the call it waits in
    void* stack;       // where it continues
    unsigned mask, predicate;
    Vote vote;
    int source;        // lane a shuffle reads
    uint64_t value, result;
};

static std::vector<Thread> threads;
static Thread* current;
static uint3 block_index;
static dim3 block_size, grid_size;
alignas(128) static char dynamic_storage[largest_shared + guard_bytes];
// Not known to the compiler as the address of a variable, whose accesses it would not check.
static char* const dynamic_shared = [](char* hidden) { asm("" : "+r"(hidden)); return hidden; }(dynamic_storage);
static size_t dynamic_bytes;

static void (*body)();
static void* scheduler;
static char* stacks;  // lent for the launch: see make_stacks
static std::vector<Fiber> fibers;
static std::vector<Fiber*> idle;
static unsigned live, waiting, cursor, warp_begin, lanes[warp_size];
static int barrier_votes;  // threads that voted yes at the last barrier
static char error[512];
static bool checking;      // whether a thread runs now: see memory.h

struct Shared { void* address; size_t bytes; };
static std::vector<Shared> static_shared;

__attribute__((format(printf, 1, 2))) inline void report(const char* format, ...) {
    if (error[0]) return;  // the first fault is the cause
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, sizeof error, format, arguments);
    va_end(arguments);
}

inline void wait(State state, int line) {
    checking = false;
    Thread* self = current;
    self->state = state;
    self->line = line;
    waiting += state == State::barrier;
    asm volatile("" ::: "memory");  // other threads write shared memory before this one continues
    hostcuda_switch(&self->stack, scheduler);
    asm volatile("" ::: "memory");
    checking = true;
}

// Ends the launch from inside a thread.
template <typename... Values> [[noreturn]] inline void fail(int line, const char* what, Values... values) {
    checking = false;
    char text[256], place[32] = "";
    if (line) snprintf(place, sizeof place, "line %d, ", line);
    snprintf(text, sizeof text, what, values...);
    report("%sthread (%u,%u,%u) of block (%u,%u,%u): %s", place, current->index.x, current->index.y,
           current->index.z, block_index.x, block_index.y, block_index.z, text);
    for (;;) hostcuda_switch(&current->stack, scheduler);
}

HOSTCUDA_UNCHECKED inline Thread* next_fresh() {
    while (cursor < warp_size) {
        const unsigned linear = warp_begin + lanes[cursor++];
        if (linear < threads.size()) return &threads[linear];
    }
    return nullptr;
}

// What a fiber does: run threads until one waits, which then owns the fiber until it ends.
HOSTCUDA_UNCHECKED inline void work() {
    Fiber* self = idle.back();
    for (;;) {
        idle.pop_back();
        while ((current = next_fresh())) {
            current->fiber = self;
            checking = true;
            body();
            checking = false;
            current->state = State::done;
            --live;
        }
        idle.push_back(self);
        hostcuda_switch(&self->stack, scheduler);
    }
}

inline void prepare(Fiber* fiber) {
    void** top = reinterpret_cast<void**>(fiber->base + page_bytes + stack_bytes);
    *--top = nullptr;  // keeps the stack aligned as the ABI wants it on entry
    *--top = reinterpret_cast<void*>(&work);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    fiber->stack = top;
}

inline Fiber* add_fiber() {
    fibers.push_back({stacks + fibers.size() * (page_bytes + stack_bytes), nullptr});
    prepare(&fibers.back());
    return &fibers.back();
}

// Memory for the stacks of a block's threads, each behind a page where an overflow stops. That makes two mappings to
// a stack, of which a process may have some 65,000: libraries, of which there are many, keep none. module.py lends the
// stacks to one launch after another.
inline void* make_stacks() {
    const size_t each = page_bytes + stack_bytes;
    void* made = mmap(nullptr, most_threads * each, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED) return nullptr;
    for (size_t i = 0; i < most_threads; ++i)
        if (mprotect(static_cast<char*>(made) + i * each, page_bytes, PROT_NONE)) return nullptr;
    return made;
}

// Begins a launch on stacks that another library, or a launch that ended with a fault, may have used last.
inline void take_stacks(void* lent) {
    stacks = static_cast<char*>(lent);
    fibers.clear();
    fibers.reserve(most_threads);  // none may move
    idle.clear();
}

inline bool start_warp() {
    cursor = 0;
    while (cursor < warp_size) {
        if (idle.empty()) idle.push_back(add_fiber());
        hostcuda_switch(&scheduler, idle.back()->stack);
        if (error[0]) return false;
    }
    return true;
}

inline bool resume_warp(bool& progress) {
    progress = false;
    for (unsigned lane : lanes) {
        const unsigned linear = warp_begin + lane;
        if (linear >= threads.size() || threads[linear].state != State::ready) continue;
        current = &threads[linear];
        hostcuda_switch(&scheduler, current->stack);
        if (error[0]) return false;
        progress = true;
    }
    return true;
}

#include "schedule.h"

}  // namespace hostcuda
