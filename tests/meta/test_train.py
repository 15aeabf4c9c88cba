from dataclasses import replace

import pytest
import torch
from meta_toys import Foresight, Level, resolve, sampler, toy_config, toy_experts

from metavad.errors import BundleError, NonFiniteError, UsageError
from metavad.features.sample import Sample
from metavad.meta.distributed import ALONE
from metavad.meta.train import meta_train


def run(*overrides, experts=None, **options):
    experts = toy_experts() if experts is None else experts
    return [*meta_train(experts, sampler(), options.pop("resolve", resolve), toy_config(*overrides), **options)]


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "anil", "meta-sgd", "maml++", "reptile", "joint"])
def test_every_algorithm_lowers_the_adapted_loss_of_the_held_out_scene(algorithm):
    steps = run(
        f"meta.algorithm={algorithm}", "meta.outer_steps=16", "meta.validate_every=8", "meta.step_size=0.01",
        validation=sampler(1, ["pier"]),
    )  # fmt: skip
    losses = [sum(step.validation.values()) for step in steps if step.validation]
    assert len(losses) == 2
    assert losses[-1] < losses[0]


def test_meta_learning_makes_adaptation_help():
    """Learned step sizes and initialisation: in the end, adapting lowers the query loss of most episodes."""
    steps = run("meta.outer_steps=24", "meta.before_every=1", "meta.step_size=0.02")
    gains = [sum(scene.before.values()) - sum(scene.after.values()) for step in steps[-8:] for scene in step.scenes]
    assert sum(gain > 0 for gain in gains) > 0.75 * len(gains)


def test_the_caller_owns_the_loop_and_the_experts_stay_as_they_are():
    experts = toy_experts()
    kept = {name: tensor.clone() for name, tensor in experts.state_dict().items()}
    steps = meta_train(experts, sampler(), resolve, toy_config())
    first = next(steps)
    assert first.step == 1
    state = first.state()
    next(steps)
    assert state.step == 1
    assert all(torch.equal(tensor, kept[name]) for name, tensor in experts.state_dict().items())
    assert any(not torch.equal(state.params[name], kept[name]) for name in kept)


def test_a_step_says_what_happened():
    steps = run(validation=sampler(1, ["pier"]))
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.validation is not None for step in steps] == [False, False, True, False, False, True]
    assert [step.scenes[0].before is not None for step in steps] == [True, False] * 3
    for step in steps:
        assert [scene.episode for scene in step.scenes] == [2 * step.step - 2, 2 * step.step - 1]
        assert [scene.scene for scene in step.scenes] == [sampler()(scene.episode).scene for scene in step.scenes]
        assert step.loss == pytest.approx(sum(sum(scene.after.values()) for scene in step.scenes) / 2)
        assert all(size > 0 for size in step.step_sizes.values())
        assert step.gradient_norm > 0


def test_a_state_is_asked_for_in_time_or_not_at_all():
    steps = run()
    assert steps[-1].state().step == 6
    with pytest.raises(UsageError, match=r"state of step 2: .* found step 6 done; call state"):
        steps[1].state()


def test_only_the_algorithm_and_not_the_global_seed_decides():
    torch.manual_seed(1)
    one = run()[-1].state()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    two = run()[-1].state()
    assert all(torch.equal(one.params[name], two.params[name]) for name in one.params)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_best_of_each_expert_is_kept_by_itself():
    settings = toy_config("meta.outer_steps=9", "meta.learning_rate=0.2")
    measured = {}
    for step in meta_train(toy_experts(), sampler(), resolve, settings, validation=sampler(1, ["pier"])):
        last = step.state()
        if step.validation:
            measured[step.step] = (step.validation, last)
    assert last.best.params.keys() == last.params.keys()
    for name in ("foresight", "level"):
        lowest = min(measured, key=lambda number: measured[number][0][name])
        assert last.best.losses[name] == measured[lowest][0][name]
        assert last.best.steps[name] == lowest
        of_it = {key: tensor for key, tensor in measured[lowest][1].params.items() if key.startswith(f"{name}.")}
        assert all(torch.equal(last.best.params[key], tensor) for key, tensor in of_it.items())


def test_experts_are_clipped_each_by_itself():
    """A wild loss of one expert leaves the other's training untouched."""

    class Wild(Level):
        name = "wild"

        def loss(self, sample, memory):
            return 20 * super().loss(sample, memory)

    def end(kinds):
        return run("meta.clip_norm=0.5", "meta.step_size=0.001", experts=toy_experts(kinds))[-1].state().params

    alone, beside = end([Foresight]), end([Foresight, Wild])
    assert all(torch.equal(tensor, beside[name]) for name, tensor in alone.items())


def test_a_large_gradient_is_cut_to_the_norm():
    steps = run("meta.clip_norm=1e-3", "meta.outer_steps=1")
    first_moment = {name: part for name, part in steps[0].state().moments.items() if name.startswith("exp_avg/")}
    for expert in ("foresight", "level"):
        parts = [part for name, part in first_moment.items() if f"/{expert}." in name]
        norm = torch.cat([part.flatten() for part in parts]).norm() / 0.1  # Adam's 1 - beta
        assert float(norm) == pytest.approx(1e-3, rel=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite_stops_with_scene_episode_and_step(value):
    def poisoned(clips):
        sample = resolve(clips)
        if clips[0].scene != "yard":
            return sample
        return Sample({name: tensor * value for name, tensor in sample.features.items()}, sample.known, sample.seconds)

    done = 0
    with pytest.raises(NonFiniteError, match=r"of scene 'yard', episode 3, outer step 1") as error:
        for step in meta_train(toy_experts(), sampler(), poisoned, toy_config()):
            done = step.step
    assert done == 1
    assert "\n" not in str(error.value)


def test_a_gradient_that_is_not_finite_stops_too():
    class Cliff(Level):
        name = "cliff"

        def loss(self, sample, memory):
            return super().loss(sample, memory) + (self.prior - self.prior.detach()).sqrt()

    with pytest.raises(NonFiniteError, match=r"gradient of scene|loss of scene"):
        run(experts=toy_experts([Cliff]))


def test_resuming_asks_for_the_same_settings_seed_and_experts():
    state = run("meta.outer_steps=1")[0].state()
    run(resume=state)
    run("meta.outer_steps=2", "meta.before_every=1", "scoring.top=0.1", resume=state)
    message = "same settings, seed and experts, found "
    for settings, options, what in (
        ([], {"seed": 1}, "seed = 1, begun with 0"),
        ([], {"resume": replace(state, settings={})}, ""),
        (["meta.inner_steps=3"], {}, "meta.inner_steps = 3, begun with 1"),
        (["flow_density.cells=77"], {}, "flow_density.cells = 77, begun with 2048"),
        ([], {"experts": toy_experts([Level])}, "foresight"),
    ):
        with pytest.raises(BundleError, match=message + what):
            run(*settings, **{"resume": state, **options})


@pytest.mark.parametrize("kind", ["params", "free", "moments", "best"])
def test_every_tensor_of_a_state_is_that_of_its_experts(kind):
    state = run("meta.outer_steps=1", validation=sampler(1, ["pier"]))[0].state()
    holder = state.best if kind == "best" else state
    tensors = holder.params if kind == "best" else getattr(state, kind)
    name = next(iter(tensors))
    kept = tensors[name]
    for wrong in (torch.zeros(9, 9), kept.double()):
        tensors[name] = wrong
        with pytest.raises(BundleError, match=f"{name} is float"):
            run(resume=state, validation=sampler(1, ["pier"]))
    tensors[name] = kept
    run(resume=state, validation=sampler(1, ["pier"]))


def test_the_number_of_threads_changes_no_bit_and_stays_the_callers():
    def wide():
        return toy_experts([Wide])

    alone = run(experts=wide())[-1].state()
    torch.set_num_threads(3)
    several = run(experts=wide())[-1].state()
    assert torch.get_num_threads() == 3
    again = run(experts=wide(), resume=run("meta.outer_steps=1", experts=wide())[0].state())[-1].state()
    for state in (several, again):
        assert all(torch.equal(tensor, state.moments[name]) for name, tensor in alone.moments.items())


class Wide(Level):
    """A sum over so many numbers that torch would share it out over its threads."""

    name = "wide"

    def loss(self, sample, memory):
        many = torch.linspace(0, 1, 100_003) * (1 + self.prior)
        return super().loss(sample, memory) + many.sin().mean()


def test_a_run_that_is_done_has_no_more_steps():
    assert run(resume=run()[-1].state()) == []


def test_separation_uses_true_anomalies_and_corrupted_queries():
    asked = []

    def corrupt(clips):
        asked.append(tuple(clips))
        sample = resolve(clips)
        return Sample({name: tensor.flip(1) for name, tensor in sample.features.items()}, sample.known, sample.seconds)

    plain = run()[-1].state()
    made = run("meta.separation=0.5", corrupt=corrupt)[-1].state()
    true = run("meta.separation=0.5")[-1].state()
    assert len(asked) == 12
    assert asked[0] == sampler()(0).query
    ends = [state.params["level.net.0.weight"] for state in (plain, made, true)]
    assert not torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert not torch.equal(ends[1], ends[2])


def test_without_abnormal_clips_separation_asks_for_nothing():
    def end(*overrides):
        normal = lambda number: replace(sampler()(number), abnormal=())  # noqa: E731
        return [*meta_train(toy_experts(), normal, resolve, toy_config(*overrides))][-1].state()

    assert torch.equal(end().params["level.prior"], end("meta.separation=0.5").params["level.prior"])


def test_one_process_is_a_group_of_one():
    vector = torch.arange(3.0)
    assert (ALONE.rank, ALONE.size) == (0, 1)
    assert torch.equal(ALONE.sum(vector), vector)


def test_elsewhere_than_on_the_cpu_buffers_come_along_and_the_experts_given_stay(monkeypatch):
    experts = toy_experts()
    experts.register_buffer("order", torch.arange(3))
    seen = []
    monkeypatch.setattr("metavad.meta.train._outer_step", lambda engine, used, *_: seen.append(used))
    next(meta_train(experts, sampler(), resolve, toy_config(), device="meta"))
    assert {buffer.device.type for buffer in seen[0].buffers()} == {"meta"}
    assert {buffer.device.type for buffer in experts.buffers()} == {"cpu"}
