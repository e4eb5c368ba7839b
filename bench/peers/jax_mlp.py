"""JAX: the bare SGD step of the MLP 784-128-10, batch 32, jitted as one function."""
import clock

clock.pin()
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

BATCH, STEPS = 32, 2000


def forward(params, x):
    w1, b1, w2, b2 = params
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def loss_of(params, x, y):
    log_p = jax.nn.log_softmax(forward(params, x))
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


@jax.jit
def sgd_step(params, x, y):
    loss, grads = jax.value_and_grad(loss_of)(params, x, y)
    return [p - 0.01 * g for p, g in zip(params, grads)], loss


def main():
    x, y = clock.digits("mlp", BATCH * STEPS)
    keys = jax.random.split(jax.random.PRNGKey(0), 2)
    params = [jax.random.normal(keys[0], (784, 128)) * 0.05, jnp.zeros(128), jax.random.normal(keys[1], (128, 10)) * 0.1, jnp.zeros(10)]
    loss = None

    def step(i):
        nonlocal params, loss
        params, loss = sgd_step(params, x[i * BATCH:(i + 1) * BATCH], y[i * BATCH:(i + 1) * BATCH])
        loss.block_until_ready()

    us = clock.median_us(step, STEPS, 20)
    clock.report("jax", "mlp_sgd_step", us, loss=float(loss))


main()
