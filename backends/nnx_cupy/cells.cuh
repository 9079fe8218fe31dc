// The kinds of recurrent networks: one step of one unit, forward and backward.

template <typename T> struct Stepped {  // what a step makes: the states after it, and what is kept for the way back
    T h, c, kept[4];
};

template <typename T> struct Before {  // what the way back finds at a step
    T dh, dc;        // of the states after it
    T h, c;          // before it
    T y, cell;       // after it
    T kept[4];
};

template <typename T, int GATES> struct Slopes {
    T inputs[GATES], products[GATES];  // of what came from the inputs, and of h U
    T dh, dc;  // of the states before the step, past the product
};

struct SimpleRnn {
    static constexpr int GATES = 1, KEPT = 0;
    static constexpr bool CELL = false, PASSES = false;  // has a cell; h also goes past the product
    template <typename T>
    static __device__ __forceinline__ Stepped<T> forward(const T* x, const T* hu, T, T, int activation, T alpha) {
        const T z = x[0] + hu[0];
        return {with_activation(activation, [&](auto f) { return f.value(z, alpha); }), 0, {}};
    }
    template <typename T>
    static __device__ __forceinline__ Slopes<T, 1> backward(const Before<T>& at, int activation, T alpha) {
        const T dz = at.dh * with_activation(activation, [&](auto f) { return f.slope(at.y, at.y, alpha); });
        return {{dz}, {dz}, 0, 0};
    }
};

struct Lstm {
    static constexpr int GATES = 4, KEPT = 4;
    static constexpr bool CELL = true, PASSES = false;
    template <typename T>
    static __device__ __forceinline__ Stepped<T> forward(const T* x, const T* hu, T, T c, int, T) {
        const T i = logistic(x[0] + hu[0]), f = logistic(x[1] + hu[1]);
        const T g = tanh(x[2] + hu[2]), o = logistic(x[3] + hu[3]);
        const T cell = f * c + i * g;
        return {o * tanh(cell), cell, {i, f, g, o}};
    }
    template <typename T>
    static __device__ __forceinline__ Slopes<T, 4> backward(const Before<T>& at, int, T) {
        const T i = at.kept[0], f = at.kept[1], g = at.kept[2], o = at.kept[3], m = tanh(at.cell);
        const T dc = at.dc + at.dh * o * (1 - m * m);
        const T di = dc * g * i * (1 - i), df = dc * at.c * f * (1 - f);
        const T dg = dc * i * (1 - g * g), slope = at.dh * m * o * (1 - o);
        return {{di, df, dg, slope}, {di, df, dg, slope}, 0, dc * f};
    }
};

struct Gru {
    static constexpr int GATES = 3, KEPT = 4;
    static constexpr bool CELL = false, PASSES = true;
    template <typename T>
    static __device__ __forceinline__ Stepped<T> forward(const T* x, const T* hu, T h, T, int, T) {
        const T z = logistic(x[0] + hu[0]), r = logistic(x[1] + hu[1]), m = hu[2];
        const T n = tanh(x[2] + r * m);
        return {(1 - z) * n + z * h, 0, {z, r, n, m}};
    }
    template <typename T>
    static __device__ __forceinline__ Slopes<T, 3> backward(const Before<T>& at, int, T) {
        const T z = at.kept[0], r = at.kept[1], n = at.kept[2], m = at.kept[3];
        const T dn = at.dh * (1 - z) * (1 - n * n), dz = at.dh * (at.h - n) * z * (1 - z);
        const T dr = dn * m * r * (1 - r);
        return {{dz, dr, dn}, {dz, dr, dn * r}, at.dh * z, 0};
    }
};
