"""learn2learn at the wheel: the same experts and episodes under its MAML and MetaSGD, and as its tasks.

Arnold et al. 2020, https://arxiv.org/abs/2008.12284. Install it by ``requirements-learn2learn.txt``.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from metavad.episodes import Clip, Episode
from metavad.errors import UsageError
from metavad.experts.base import Parameters
from metavad.experts.set import ExpertSet
from metavad.features.sample import Sample, join
from metavad.meta.inner import positive, size_at
from metavad.meta.objective import query_losses, separation_losses, support_loss, total
from metavad.meta.outer import Initialisation, Plan, SceneGradient, Task, gradient_of

__all__ = ["learn2learn_engine", "task_dataset"]


def learn2learn_engine(
    experts: ExpertSet, start: Initialisation, tasks: Sequence[Task], plan: Plan
) -> list[SceneGradient]:
    """Meta-gradients by ``learn2learn.algorithms``: ``MAML`` for one fixed step size, else ``MetaSGD``.

    The same numbers as the default engine's loop, bit by bit. What does not adapt has the step size zero.
    Raises :class:`UsageError` for algorithms that learn2learn does not have.
    """
    if plan.kind != "adapt":
        raise UsageError(
            f"meta.engine=learn2learn: expected an algorithm with an inner loop, found {plan.kind!r}; "
            "use meta.engine=torch-func"
        )
    return [_scene(experts, start, task, plan) for task in tasks]


def task_dataset(episodes: Callable[[int], Episode], resolve: Callable[[Sequence[Clip]], Sample], tasks: int) -> Any:
    """The first ``tasks`` episodes of a suite as a ``learn2learn.data.TaskDataset``.

    A task is ``(sample, shown)``: the sample of K + Q clips, and which of them are support, (K + Q,). Clips
    are resolved when their task is drawn; labels are scene numbers.
    """
    data = _import().data
    drawn = [episodes(number) for number in range(tasks)]
    clips = sorted({clip for episode in drawn for clip in (*episode.support, *episode.query)})
    transforms = [_EpisodeClips(drawn, clips, resolve, data.DataDescription)]
    with warnings.catch_warnings():  # its other name is Taskset
        warnings.simplefilter("ignore", DeprecationWarning)
        return data.TaskDataset(
            _meta_dataset(data, clips, resolve), task_transforms=transforms, num_tasks=tasks, task_collate=_collate
        )


def _scene(experts: ExpertSet, start: Initialisation, task: Task, plan: Plan) -> SceneGradient:
    before: dict[str, Tensor] = {}
    terms: list[Tensor] = []
    learner, sizes = _learner(experts, start, plan), positive(start.free)
    for taken, weight in enumerate(plan.weights):
        if taken:
            _set_step(learner, start.params, sizes, taken - 1)
            learner.adapt(_touching(learner, support_loss(learner.module, task.support)))
        elif plan.before:
            with torch.no_grad():
                before = query_losses(learner.module, task.query, task.support)
        if weight:
            objective, losses = _asked(learner.module, task, plan.separation)
            terms.append(objective if weight == 1.0 else weight * objective)
    objective = torch.stack(terms).sum() if len(terms) > 1 else terms[0]
    gradient = gradient_of(objective, start.leaves() if plan.gradient else {})
    return SceneGradient({name: loss.detach() for name, loss in losses.items()}, gradient, before)


def _asked(experts: ExpertSet, task: Task, separation: float) -> tuple[Tensor, dict[str, Tensor]]:
    losses = query_losses(experts, task.query, task.support)
    if not separation or task.abnormal is None:
        return total(losses), losses
    apart = separation_losses(experts, task.query, task.abnormal, task.support)
    return total(losses) + separation * total(apart), losses


def _learner(experts: ExpertSet, start: Initialisation, plan: Plan) -> Any:
    algorithms, module = _import().algorithms, _with(experts, start.params)
    first_order, alone = plan.order == 1, _single_size(start)
    if alone is not None:
        learner = algorithms.MAML(module, lr=alone, first_order=first_order, allow_unused=True)
    else:
        learner = algorithms.MetaSGD(module, lrs=[], first_order=first_order)
    return learner.clone()


def _touching(learner: Any, loss: Tensor) -> Tensor:
    """The loss plus zero times all parameters: MetaSGD fails on one that the loss does not use."""
    if not hasattr(learner, "lrs"):
        return loss
    return loss + 0.0 * torch.stack([tensor.sum() for tensor in learner.module.parameters()]).sum()


def _set_step(learner: Any, params: Parameters, sizes: Mapping[str, Tensor], step: int) -> None:
    """MetaSGD's rates of this inner step, in the order of the module's parameters."""
    if hasattr(learner, "lrs"):
        learner.lrs = [
            size_at(sizes[name], step, params[name]) if name in sizes else torch.zeros_like(params[name])
            for name, _ in learner.module.named_parameters()
        ]


def _single_size(start: Initialisation) -> float | None:
    """The one fixed step size of all parameters, which is all that learn2learn's MAML takes."""
    sizes = start.step_sizes
    learned = any(tensor.requires_grad for tensor in start.free.values())
    if learned or set(sizes) != set(start.params) or any(size.ndim for size in sizes.values()):
        return None
    values = {float(size) for size in sizes.values()}
    return values.pop() if len(values) == 1 else None


def _with(experts: ExpertSet, params: Parameters) -> ExpertSet:
    """A copy of the module that holds these very tensors as its parameters."""
    module = copy.deepcopy(experts)
    for name, tensor in params.items():
        owner, _, last = name.rpartition(".")
        module.get_submodule(owner)._parameters[last] = tensor  # type: ignore[assignment]
    return module


class _Clips(torch.utils.data.Dataset[tuple[Sample, int]]):
    def __init__(self, clips: Sequence[Clip], resolve: Callable[[Sequence[Clip]], Sample]) -> None:
        self._clips, self._resolve = clips, resolve
        self._scenes = sorted({clip.scene for clip in clips})

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, place: int) -> tuple[Sample, int]:
        return self._resolve([self._clips[place]]), self.label(place)

    def label(self, place: int) -> int:
        return self._scenes.index(self._clips[place].scene)


class _EpisodeClips:
    """A task transform: the clips of the next episode; learn2learn keeps what it has drawn for a task."""

    def __init__(
        self,
        episodes: Sequence[Episode],
        clips: Sequence[Clip],
        resolve: Callable[[Sequence[Clip]], Sample],
        description: Callable[[int], Any],
    ) -> None:
        self._next, self._clips, self._resolve, self._description = iter(episodes), clips, resolve, description

    def __call__(self, task: object) -> list[Any]:
        episode = next(self._next)
        support = [self._described(clip, self._shown) for clip in episode.support]
        return support + [self._described(clip, self._asked) for clip in episode.query]

    def _described(self, clip: Clip, load: Callable[[int], tuple[Sample, bool]]) -> Any:
        described = self._description(self._clips.index(clip))
        described.transforms = [load]
        return described

    def _shown(self, place: int) -> tuple[Sample, bool]:
        return self._resolve([self._clips[place]]), True

    def _asked(self, place: int) -> tuple[Sample, bool]:
        return self._resolve([self._clips[place]]), False


def _collate(items: Sequence[tuple[Sample, bool]]) -> tuple[Sample, Tensor]:
    return join([sample for sample, _ in items]), torch.tensor([shown for _, shown in items])


def _meta_dataset(data: Any, clips: Sequence[Clip], resolve: Callable[[Sequence[Clip]], Sample]) -> Any:
    """With labels given, so that learn2learn does not decode every clip to find them."""
    dataset = _Clips(clips, resolve)
    labels = {place: dataset.label(place) for place in range(len(dataset))}
    places: dict[int, list[int]] = {}
    for place, label in labels.items():
        places.setdefault(label, []).append(place)
    return data.MetaDataset(dataset, labels_to_indices=places, indices_to_labels=labels)


def _import() -> Any:
    if find_spec("learn2learn") is None:
        raise UsageError(
            "learn2learn: expected the package, found none; "
            "install it by: pip install --no-deps -r requirements-learn2learn.txt"
        )
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), _operators():
        warnings.simplefilter("ignore")
        import learn2learn
    return learn2learn


_LIBRARY: list[Any] = []
"""Kept alive: its operators go when it goes."""


@contextlib.contextmanager
def _operators() -> Iterator[None]:
    """Declare the two torchvision operators without which its Python parts cannot be imported on a CPU build."""
    if not _LIBRARY and not hasattr(torch.ops.torchvision, "nms"):
        _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        _LIBRARY[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARY[0].define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    yield
