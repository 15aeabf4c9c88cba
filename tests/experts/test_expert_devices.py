"""Experts compute where their inputs lie: on torch's device without data, a tensor made on the CPU stands out.

Only that no two devices meet is tested so: no number is computed there.
"""

import pytest

from metavad.experts import EXPERTS
from metavad.testing import moving_pictures, small_config

SEEN = small_config(embedding={"unfrozen": 1}, flow_patches={"stacking": "bidirectional"})
OPTIONS = {
    "prediction-prototypes": {"prediction": {"prototypes": 5}},
    "prediction-self-attention": {"prediction": {"attention": "self"}},
    "flow_patches-trajectory": {"flow_patches": {"stacking": "trajectory", "patch": [24, 24], "levels": 2}},
    "embedding-unfrozen": {"embedding": {"unfrozen": 1}},
    "appearance-network": {"appearance": {"features": "network", "numbers": 48}},
}
DATA_DEPENDENT = {
    "patches": {"score"},
    "pose": {"condition", "loss", "score"},
    "presence": {"condition"},
    "stillness": {"condition"},
}
"""What asks for numbers, such as which places are known: it cannot be followed without data."""


@pytest.mark.parametrize("name", [*sorted(EXPERTS), *OPTIONS])
def test_no_tensor_is_made_on_another_device(name):
    expert = EXPERTS[name.partition("-")[0]].build(small_config(**OPTIONS.get(name, {})))
    sample = moving_pictures(SEEN, expert.reads, 2)
    memory = expert.condition(sample)
    expert, elsewhere = expert.to("meta"), sample.on("meta")
    memory = {key: tensor.to("meta") for key, tensor in memory.items()}
    calls = {
        "condition": lambda: list(expert.condition(elsewhere).values()),
        "loss": lambda: [expert.loss(elsewhere, memory)],
        "score": lambda: [expert.score(elsewhere, memory)],
        "known": lambda: [expert.known(elsewhere)],
    }
    impossible = set()
    for what, call in calls.items():
        try:
            assert {tensor.device.type for tensor in call()} <= {"meta"}
        except NotImplementedError:
            impossible.add(what)
    assert impossible == DATA_DEPENDENT.get(name, set())
