"""The forward and backward passes as plain functions, for those who want to see every step of learning.

    from nnx import stepwise

    parameters = stepwise.initialize_parameters([12288, 20, 7, 5, 1], seed=1)
    for _ in range(2500):
        AL, caches = stepwise.L_model_forward(X, parameters)
        grads = stepwise.L_model_backward(AL, Y, caches)
        parameters = stepwise.update_parameters(parameters, grads, learning_rate=0.0075)

The names and the layout are those of the courses that teach networks by writing them: matrices have one column
per example, X (n_0, m), A_l and Z_l (n_l, m), Y (n_L, m); W_l is (n_l, n_(l-1)) and b_l (n_l, 1). Every function
runs on the backend that is selected when it is called (`nnx.set_backend`), and is a few lines over the kernels that
`nnx.Sequential` runs too: the same seed gives the same weights, the same batches and the same costs.

Arrays may be those of the backend, NumPy's of any dtype and layout, or nested lists. What is computed has the dtype
of the parameters, float32 unless `initialize_parameters` is told otherwise, on arrays of the backend; costs are
Python floats. Arrays of that dtype that lie example by example, as `images.reshape(m, -1).T` does, are used as they
are, which is fastest.

`python -m nnx.stepwise.walk` builds a network step by step, from one neuron to Adam with batch normalisation;
`nnx.stepwise.logistic` has the four functions of logistic regression.
"""

from nnx.stepwise import logistic
from nnx.stepwise.backward import (
    L_model_backward,
    leaky_relu_backward,
    linear_activation_backward,
    linear_backward,
    relu_backward,
    sigmoid_backward,
    softmax_backward,
    tanh_backward,
)
from nnx.stepwise.batches import random_mini_batches
from nnx.stepwise.costs import compute_cost, compute_cost_with_L2_regularization
from nnx.stepwise.dropout import apply_dropout, dropout_backward
from nnx.stepwise.forward import (
    L_model_forward,
    leaky_relu,
    linear_activation_forward,
    linear_forward,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from nnx.stepwise.normalization import apply_batchnorm, batchnorm_backward
from nnx.stepwise.parameters import initialize_parameters, initialize_parameters_deep
from nnx.stepwise.training import L_layer_model, predict
from nnx.stepwise.updates import (
    initialize_adam,
    initialize_rmsprop,
    initialize_velocity,
    update_parameters,
    update_parameters_with_adam,
    update_parameters_with_momentum,
    update_parameters_with_rmsprop,
)

__all__ = [
    "L_layer_model",
    "L_model_backward",
    "L_model_forward",
    "apply_batchnorm",
    "apply_dropout",
    "batchnorm_backward",
    "compute_cost",
    "compute_cost_with_L2_regularization",
    "dropout_backward",
    "initialize_adam",
    "initialize_parameters",
    "initialize_parameters_deep",
    "initialize_rmsprop",
    "initialize_velocity",
    "leaky_relu",
    "leaky_relu_backward",
    "linear_activation_backward",
    "linear_activation_forward",
    "linear_backward",
    "linear_forward",
    "logistic",
    "predict",
    "random_mini_batches",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
    "update_parameters",
    "update_parameters_with_adam",
    "update_parameters_with_momentum",
    "update_parameters_with_rmsprop",
]
