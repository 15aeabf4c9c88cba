"""Settings: what is out of range is one line, and runs that differ are told apart by name."""

import json
import tomllib

import pytest

from metavad.config import Config, first_difference, load_config
from metavad.errors import ConfigError
from metavad.shipped import shipped

PLAIN = Config().model_dump(mode="json")
NUMBERS = [
    f"{section}.{key}"
    for section, values in PLAIN.items()
    if isinstance(values, dict)
    for key, value in values.items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]
COUNTS = [
    name
    for name in NUMBERS
    if isinstance(PLAIN[name.split(".")[0]][name.split(".")[1]], int)
    and name.split(".")[1] not in ("unfrozen", "order", "first_order_steps", "validation_scenes")
]
"""Of what memory or time grows with."""


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '"inf"', "nan"])
def test_no_setting_is_infinite(name, value):
    with pytest.raises(ConfigError, match=name) as error:
        load_config("default", [f"{name}={value}"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", COUNTS)
def test_no_count_is_beyond_memory(name):
    for value in (10**12, -1, 10**30, 0.5):
        with pytest.raises(ConfigError, match=name):
            load_config("default", [f"{name}={value}"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("meta.shots=[10,1]", "the least and the most"),
        ("meta.shots=[0,1]", "meta.shots.0"),
        ("meta.shots=[1,999999999]", "meta.shots.1"),
        ("population.shots=[]", "at least 1"),
        ("population.shots=[10,1]", "numbers that rise"),
        ("population.shots=[0,999999999]", "population.shots.1"),
        ("experts=[]", "at least 1"),
        ("prediction.intensity_weight=-1", "greater than or equal to 0"),
        (f"meta.outer_steps={'9' * 5000}", "meta.outer_steps"),
        (f"meta.outer_steps={'[' * 100_000}", "meta.outer_steps"),
    ],
)
def test_what_makes_no_sense_is_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as error:
        load_config("default", [override])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "1e999"])
def test_files_of_settings_are_finite_too(tmp_path, value):
    (tmp_path / "mine.toml").write_text(f"[data]\nrate = {value}\n")
    with pytest.raises(ConfigError, match=r"data\.rate"):
        load_config(str(tmp_path / "mine.toml"))


def test_a_file_of_settings_as_editors_save_it(tmp_path):
    (tmp_path / "mine.toml").write_text("[meta]\ninner_steps = 7\n", encoding="utf-8-sig")
    assert load_config(str(tmp_path / "mine.toml")).meta.inner_steps == 7


@pytest.mark.parametrize(
    ("begun", "now", "message"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, None),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 2, "c": 3}}, "a.b = 2, begun with 1"),
        ({"a": 1}, {"a": 1, "b": "x"}, 'b = "x", begun with nothing'),
        ({"a": 1, "b": [1]}, {"a": 1}, "b = nothing, begun with [1]"),
        ({"a": 1}, {"a": True}, None),
        ({}, {"a": None}, "a = null, begun with nothing"),
    ],
)
def test_the_first_difference_is_named_with_both_values(begun, now, message):
    assert first_difference(begun, now) == message


def test_a_configuration_is_what_it_was_after_a_file(tmp_path):
    config = load_config("default", ["meta.order=1"])
    assert Config.model_validate(json.loads(config.model_dump_json())) == config
    before = load_config("default").model_dump(mode="json")
    assert first_difference(before, config.model_dump(mode="json")) == "meta.order = 1, begun with 2"


@pytest.mark.parametrize("name", shipped("configs"))
def test_a_preset_says_in_a_line_what_it_is_for_and_then_only_what_it_changes(name):
    text = shipped("configs")[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    values = tomllib.loads(text)
    sections = {key: value for key, value in values.items() if isinstance(value, dict)}
    message = {key: value for key, value in values.items() if key not in sections}
    message |= {f"{section}.{key}": value for section, table in sections.items() for key, value in table.items()}
    plain = {"experts": PLAIN["experts"]} | {
        f"{section}.{key}": value
        for section, table in PLAIN.items()
        if section != "experts"
        for key, value in table.items()
    }
    assert {key: value for key, value in message.items() if plain[key] == value} == {}
    assert message
