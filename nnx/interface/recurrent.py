"""Recurrent networks: one call runs whole sequences, forward or backward through time."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Recurrent(Arrays):
    """Kernels that carry a state from step to step. Letters: N sequences, T steps, H units of state.

    What the inputs contribute is computed before, for all steps in one product: xw = x W + b. A kernel adds what
    the state before contributes, h U. For every sequence it takes the steps t = 0, 1, ..., T - 1, or with
    `reverse` T - 1, ..., 0, beginning with h = h0 (and c = c0).

    * h0, c0: (N, H), or None for zeros.
    * lengths: (N,) int64 in 0..T, or None for T. The steps t >= lengths[n] are padding: they leave the state as it
      is, and y, gates and cells are 0 there. So are the gradients of xw. With `reverse`, a sequence of
      length l thus begins at its step l - 1.
    * y: (N, T, H), the state h after each step; h_last (N, H), the state after the last.
    * dy, dh_last, dc_last: the gradients of what comes out, each None where nothing depends on it.
    * dh0, dc0: the gradients of the states given; None where they are not wanted.

    In the formulas h and c are the state before a step, h' and c' the state after it; s is the sigmoid, `*` is
    elementwise. Gates lie side by side in the last axis, in the order given.
    """

    def simple_rnn(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        h_last: Array,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """Run the network of Elman.

            h' = f(xw_t + h U)

        Shapes: xw (N, T, H), u (H, H). Attributes: activation and alpha as in `linear`.
        Source: Elman 1990.
        """
        reference.simple_rnn(self.xp, xw, u, lengths, h0, y, h_last, activation, alpha, reverse)

    def simple_rnn_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """Gradients of `simple_rnn`: from the last step to the first, with dh' what steps later and dy_t ask for.

            dxw_t = dh' * f'(z)    z = xw_t + h U
            dh = dxw_t U.T
            du = sum h.T dxw_t    over sequences and steps

        Shapes: as in `simple_rnn`; dxw (N, T, H), du (H, H).
        """
        reference.simple_rnn_backward(
            *(self.xp, u, lengths, h0, y, dy, dh_last, dxw, du, dh0, activation, alpha, reverse)
        )

    def lstm(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        h_last: Array,
        c_last: Array,
        reverse: bool,
    ) -> None:
        """Run long short-term memory.

            (i, f, g, o) = xw_t + h U    then
            i = s(i), f = s(f), g = tanh(g), o = s(o)
            c' = f * c + i * g
            h' = o * tanh(c')

        Shapes: xw, gates (N, T, 4 H), gates holding i, f, g, o after their functions; u (H, 4 H); cells (N, T, H),
        the c' of every step; h_last, c_last (N, H).
        Source: Hochreiter & Schmidhuber 1997; the gate f, Gers et al. 2000.
        """
        reference.lstm(self.xp, xw, u, lengths, h0, c0, y, gates, cells, h_last, c_last, reverse)

    def lstm_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        dy: Array | None,
        dh_last: Array | None,
        dc_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        dc0: Array | None,
        reverse: bool,
    ) -> None:
        """Gradients of `lstm`, from the last step to the first.

            m = tanh(c')
            dc' += dh' * o * (1 - m^2)
            dxw_t = (di, df, dg, do)
            di = dc' * g * i * (1 - i)
            df = dc' * c * f * (1 - f)
            dg = dc' * i * (1 - g^2)
            do = dh' * m * o * (1 - o)
            dc = dc' * f
            dh = dxw_t U.T
            du = sum h.T dxw_t    over sequences and steps

        Shapes: as in `lstm`; dxw (N, T, 4 H), du (H, 4 H).
        """
        reference.lstm_backward(
            *(self.xp, u, lengths, h0, c0, y, gates, cells, dy, dh_last, dc_last, dxw, du, dh0, dc0, reverse)
        )

    def gru(
        self,
        xw: Array,
        u: Array,
        b: Array | None,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        h_last: Array,
        reverse: bool,
    ) -> None:
        """Run gated recurrent units, the reset gate applied after the product.

            (z, r, n) = xw_t, (a, e, m) = h U + b    then
            z = s(z + a), r = s(r + e), n = tanh(n + r * m)
            h' = (1 - z) * n + z * h

        Shapes: xw (N, T, 3 H), u (H, 3 H), b (3 H,) or None; gates (N, T, 4 H), holding z, r, n after their
        functions, and m.
        Source: Cho et al. 2014, version 1 of arXiv:1406.1078 ("reset after").
        """
        reference.gru(self.xp, xw, u, b, lengths, h0, y, gates, h_last, reverse)

    def gru_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        dhu: Array,
        du: Array,
        db: Array | None,
        dh0: Array | None,
        reverse: bool,
    ) -> None:
        """Gradients of `gru`, from the last step to the first.

            dn = dh' * (1 - z) * (1 - n^2)
            dz = dh' * (h - n) * z * (1 - z)
            dr = dn * m * r * (1 - r)
            dxw_t = (dz, dr, dn), dhu_t = (dz, dr, dn * r)
            dh = dh' * z + dhu_t U.T
            du = sum h.T dhu_t, db = sum dhu_t    over sequences and steps

        Shapes: as in `gru`; dxw, dhu (N, T, 3 H); du (H, 3 H); db (3 H,) or None.
        """
        reference.gru_backward(*(self.xp, u, lengths, h0, y, gates, dy, dh_last, dxw, dhu, du, db, dh0, reverse))
