"""The meta-gradients of another library, written by other people: higher (Grefenstette et al. 2019)."""

import pytest
import torch
from meta_toys import Foresight, Level, Recurrent, resolve, sampler, toy_config, toy_experts

from metavad.experts.set import under
from metavad.meta.engines.loop import loop_engine
from metavad.meta.objective import query_losses, support_loss, total
from metavad.meta.outer import Task, initialise, plan_at

higher = pytest.importorskip("higher", reason="higher is not installed: pip install -c constraints.txt .[test]")


class Plain(torch.nn.Module):
    """Experts' parameters as plain ones: higher cannot take over classes that are abstract somewhere above."""

    def __init__(self, experts):
        super().__init__()
        self.names = [name for name, _ in experts.named_parameters()]
        for number, tensor in enumerate(experts.parameters()):
            self.register_parameter(f"p{number}", torch.nn.Parameter(tensor.detach().clone()))
        self.evaluate = lambda params, function, *given: under(experts, params, function, *given)

    def forward(self, function, *given):
        params = {name: getattr(self, f"p{number}") for number, name in enumerate(self.names)}
        return self.evaluate(params, function, *given)


def by_higher(experts, task, *, steps, size, order):
    plain = Plain(experts)
    descent = torch.optim.SGD(plain.parameters(), lr=size)
    with higher.innerloop_ctx(plain, descent, copy_initial_weights=False, track_higher_grads=order == 2) as (
        adapted,
        inner,
    ):
        for _ in range(steps):
            inner.step(adapted(support_loss, task.support))
        objective = total(adapted(query_losses, task.query, task.support))
        start = adapted.parameters(time=0) if order == 2 else adapted.parameters()
        return torch.autograd.grad(objective, list(start))


@pytest.mark.parametrize("kinds", [(Foresight,), (Level,), (Recurrent,), (Foresight, Level)])
@pytest.mark.parametrize(("order", "steps"), [(1, 1), (2, 1), (1, 5), (2, 5)])
def test_meta_gradients_are_those_of_higher(kinds, order, steps):
    settings = toy_config("meta.step_sizes=fixed", f"meta.order={order}", f"meta.inner_steps={steps}").meta
    experts, episode = toy_experts(kinds).double(), sampler(shots=(3, 3))(0)
    task = Task(episode, resolve(episode.support), resolve(episode.query))
    start = initialise(experts, settings)
    found = loop_engine(experts, start, [task], plan_at(settings, 0))[0].gradient
    size = float(next(iter(start.step_sizes.values())))
    expected = by_higher(experts, task, steps=steps, size=size, order=order)
    for (name, _), gradient in zip(experts.named_parameters(), expected, strict=True):
        torch.testing.assert_close(found[f"params/{name}"], gradient, rtol=1e-10, atol=1e-13)
