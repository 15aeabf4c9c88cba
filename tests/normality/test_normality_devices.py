"""What computes on another device is moved there, and what is calibrated stays on the CPU."""

from metavad.normality.fit import fit
from metavad.normality.methods import Adapted
from metavad.testing import moving_pictures


def devices(*tables):
    return {tensor.device.type for table in tables for tensor in table.values()}


def test_a_base_moves_what_experts_compute_with(tiny_base):
    moved = tiny_base.on("meta")
    control = moved.control
    assert devices(moved.params, moved.step_sizes, control.params, control.step_sizes) == {"meta"}
    assert devices(dict(moved.experts.named_buffers())) <= {"meta"}
    assert devices(moved.weights, {"frames": moved.frames.scores}) == {"cpu"}
    assert tiny_base.on(None).digest == tiny_base.on("cpu").digest == tiny_base.digest


def test_a_scene_model_scores_the_same_where_it_is_named_or_not(tiny_base):
    sample = moving_pictures(tiny_base.config, tiny_base.experts.reads, 2)
    grid = (8, 11)
    plain, named = (fit(Adapted(tiny_base.on(device)), sample, grid) for device in (None, "cpu"))
    assert plain.score(sample).fused.equal(named.score(sample).fused)
    assert named.device == "cpu"
    moved = named.on("meta")
    assert devices(moved.params, moved.memory, dict(moved.experts.named_buffers())) <= {"meta"}
    assert moved.calibrations is named.calibrations
    assert devices(named.params) == {"cpu"}  # itself stays where it is
