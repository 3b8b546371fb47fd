"""Products with the Hessian against a package that knows nothing of ours: the network is a torch
module, the loss torch's own."""
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from rnnbio.all import *

curvlinops = pytest.importorskip("curvlinops", reason="needs curvlinops: pip install -e '.[oracles]'")

TASKS_HERE = {"digits": dict(source="mnist-5k"), "mapping": dict(duration=6.)}    # one of each loss
GROUPS = ("W_h", "W_x", "b", "w", "b_out")


class Alone(nn.Module):
    "One network: what it says where it counts, [trial and time, n_out]."
    def __init__(self, model, params, steps):
        super().__init__()
        self.model, self.steps, self.seeds = model, steps, params.seeds
        for name in GROUPS: setattr(self, name, nn.Parameter(getattr(params, name).clone()))

    def forward(self, inputs):
        params = Params(**{name: getattr(self, name) for name in GROUPS}, seeds=self.seeds)
        return self.model(params, inputs.movedim(0, 1))[1][0, self.steps].flatten(0, 1)


@pytest.mark.parametrize("of", [*GROUPS, GROUPS], ids=str)
@pytest.mark.parametrize("form", ["current", "rate", "rate_outer"])
@pytest.mark.parametrize("name", TASKS_HERE)
def test_curvlinops_has_the_same_products(name, form, of):
    task = get_task(name, **TASKS_HERE[name])
    model = LeakyRNN(task.n_in, 6, task.n_out, alpha=.6, form=form)
    params = model.init([0, 1], gaussian(1.4), dtype=torch.float64)
    trials = task.sample(4, 0).to(torch.float64)
    counts = (trials.mask > 0).any(-1).nonzero()[:, 0]
    assert (trials.mask[counts] == 1).all()      # torch's losses weigh all alike
    H = Hessian(model, params, trials, of)
    v = torch.randn(H.shape, dtype=torch.float64, generator=torch.manual_seed(0))
    ours, names = H(v), (of,) if isinstance(of, str) else of
    loss, half = (nn.CrossEntropyLoss(), 1) if trials.labelled else (nn.MSELoss(), .5)
    data = [(trials.inputs.movedim(0, 1), trials.targets[counts].flatten(0, 1))]
    for run in range(2):
        net = Alone(model, params[run], counts)
        theirs = curvlinops.HessianLinearOperator(
            net, loss, [getattr(net, n) for n in names], data, check_deterministic=False)
        assert_close(ours[run], half * (theirs @ v[run]), rtol=1e-10, atol=1e-12)
