"""A training step of an ensemble as one would write it in JAX: jitted vmap over scan, Adam inside.

    python benchmarks/jax_ensemble.py N NETWORKS ACTIVATION RULE STEPS [seconds]

Needs only jax, so it runs in a process of its own, with any version of jax and with all its memory given
back. Prints milliseconds per network as JSON: the least of many, in wall time and in CPU time.
"""
import json
import sys
import time

ALPHA, TRIALS = .8, 32


def step_of(n, networks, activation, rule, steps):
    """function(k): one training step on white noise, waited for."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    draw = np.random.default_rng(0)
    normal = lambda *shape: jnp.asarray(draw.standard_normal(shape), jnp.float32)
    f = {"relu": jax.nn.relu, "tanh": jnp.tanh}[activation]
    theta = dict(W_h=normal(networks, n, n) / n**.5, W_x=normal(networks, n, 1),
                 b=normal(networks, n), w=normal(networks, 2, n) / n, b_out=normal(networks, 2))
    memory = {name: jax.tree_util.tree_map(jnp.zeros_like, theta) for name in "mv"}
    x, y, mask = normal(steps, TRIALS, 1), normal(steps, TRIALS, 2), jnp.ones((steps, TRIALS))

    def loss(p):
        def one(h, x_t):
            r = f(h)
            heard = (jax.lax.stop_gradient(r) if rule == "eprop" else r) @ p["W_h"].T
            h = ALPHA * h + (1 - ALPHA) * (heard + x_t @ p["W_x"].T + p["b"])
            return h, f(h) @ p["w"].T + p["b_out"]
        outputs = jax.lax.scan(one, jnp.zeros((TRIALS, n)), x)[1]
        return (mask[..., None] * (outputs - y)**2).sum() / (4 * mask.sum())

    @jax.jit
    def update(theta, memory, k):
        each = jax.tree_util.tree_map
        g = jax.vmap(jax.grad(loss))(theta)
        m = each(lambda a, b: .9 * a + .1 * b, memory["m"], g)
        v = each(lambda a, b: .999 * a + .001 * b * b, memory["v"], g)
        moved = each(lambda p, a, b: p - 1e-3 * (a / (1 - .9**k)) / (
            jnp.sqrt(b / (1 - .999**k)) + 1e-8), theta, m, v)
        return moved, dict(m=m, v=v)

    state = [theta, memory]

    def step(k):
        state[:] = update(*state, k + 1.)
        jax.block_until_ready(state)
    return step


def times(step, networks, seconds):
    """Least milliseconds per network, wall and CPU, after one step that compiles."""
    step(0)
    wall, cpu, begin, n = [], [], time.perf_counter(), 1
    while time.perf_counter() - begin < seconds or len(wall) < 3:
        start = time.perf_counter(), time.process_time()
        step(n)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
        n += 1
    return min(wall) / networks * 1e3, min(cpu) / networks * 1e3


if __name__ == "__main__":
    n, networks, activation, rule, steps, *seconds = sys.argv[1:]
    found = times(step_of(int(n), int(networks), activation, rule, int(steps)), int(networks),
                  float(*seconds or [1.]))
    print(json.dumps(found))
