// Elementwise activations and softmax. A row belongs to a team of threads.

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) activate(
        const T* __restrict__ x, T* __restrict__ y, Index n, T alpha) {
    for (Index i = first_element(); i < n; i += element_stride()) y[i] = F::value(x[i], alpha);
}

template <typename T, typename F>
__global__ void __launch_bounds__(BLOCK, RESIDENT) activate_backward(
        const T* __restrict__ x, const T* __restrict__ y, const T* __restrict__ dy, T* __restrict__ dx, Index n,
        T alpha) {
    for (Index i = first_element(); i < n; i += element_stride()) dx[i] = dy[i] * F::slope(x[i], y[i], alpha);
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
