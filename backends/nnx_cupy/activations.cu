// Elementwise activations and softmax. A row belongs to a team of threads.

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) activate(
        const T* __restrict__ x, T* __restrict__ y, Index n, T alpha) {
    each_pack<T>(n, [&](Index i, auto move) {
        auto values = move.load(x, i);
        for (int k = 0; k < move.width; ++k) values[k] = F::value(values[k], alpha);
        move.store(y, i, values);
    }, x, y);
}

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) activate_backward(
        const T* __restrict__ x, const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dx, Index n,
        T alpha) {
    each_pack<T>(n, [&](Index i, auto move) {
        const auto inputs = move.load(x, i), outputs = move.load(y, i);
        auto slopes = move.load(dy, i);
        for (int k = 0; k < move.width; ++k) slopes[k] *= F::slope(inputs[k], outputs[k], alpha);
        move.store(dx, i, slopes);
    }, x, y, dy, dx);
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) softmax(
        const T* __restrict__ inputs, T* __restrict__ outputs, Index rows, Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T* x = inputs + row * columns;
        T* y = outputs + row * columns;
        const RowScale<T> scale = row_scale<TEAM>(x, columns);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) y[i] = exp(x[i] - scale.largest) / scale.sum;
    }
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) log_softmax(
        const T* __restrict__ inputs, T* __restrict__ outputs, Index rows, Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T* x = inputs + row * columns;
        T* y = outputs + row * columns;
        const RowScale<T> scale = row_scale<TEAM>(x, columns);
        const T shift = log(scale.sum);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) y[i] = x[i] - scale.largest - shift;
    }
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) softmax_backward(
        const T* __restrict__ outputs, const T* __restrict__ slopes, T* __restrict__ gradients, Index rows,
        Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T *y = outputs + row * columns, *dy = slopes + row * columns;
        T *dx = gradients + row * columns, dot = 0;
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) dot += y[i] * dy[i];
        dot = team_sum<TEAM>(dot);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) dx[i] = y[i] * (dy[i] - dot);
    }
}

template <typename T, int TEAM>
__global__ void __launch_bounds__(BLOCK, RESIDENT) log_softmax_backward(
        const T* __restrict__ outputs, const T* __restrict__ slopes, T* __restrict__ gradients, Index rows,
        Index columns) {
    for (Index row = first_row<TEAM>(); row < rows; row += row_stride<TEAM>()) {
        const T *y = outputs + row * columns, *dy = slopes + row * columns;
        T *dx = gradients + row * columns, sum = 0;
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) sum += dy[i];
        sum = team_sum<TEAM>(sum);
        for (Index i = team_lane<TEAM>(); i < columns; i += TEAM) dx[i] = dy[i] - exp(y[i]) * sum;
    }
}
