"""Tensors, facts and files under one digest: nothing of it changes unseen."""

import copy
import json
import os

import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field

from metavad.bundle import (
    Bundle,
    Kind,
    _written,
    bundle_digest,
    check_tensors,
    facts_as,
    flattened,
    grouped,
    load_bundle,
    save_bundle,
)
from metavad.errors import BundleError, NonFiniteError

KIND = Kind("thing", "a thing", 3, make="make one", mend="make it again", gaps=("loose",))


def thing():
    tensors = {
        "firm/a": torch.tensor([[1.0, -0.0], [3.0, 1e-40]]),
        "firm/b": torch.arange(3),
        "firm/none": torch.zeros(0, 4),
        "loose/c": torch.tensor([torch.nan, 1.0]),
    }
    facts = {"level": 0.1 + 0.2, "names": ["a", "é"], "deep": {"yes": True, "nothing": None, "count": 3}}
    return Bundle(tensors, facts, {"pictures/000.jpg": b"one", "pictures/001.jpg": b"two"})


def forge(folder, bundle, **changes):
    """A folder with the right digest, whatever is in it."""
    tensors, document = _written(KIND, bundle)
    folder.mkdir(parents=True)
    for name, content in {"thing.safetensors": tensors, **bundle.files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "thing.json").write_text(json.dumps({**document, **changes}))
    return folder


@pytest.fixture
def folder(tmp_path):
    save_bundle(tmp_path / "thing", KIND, thing())
    return tmp_path / "thing"


def test_everything_comes_back_to_the_last_bit(folder):
    wanted, found = thing(), load_bundle(folder, KIND)
    assert list(found.tensors) == sorted(wanted.tensors)
    for name, tensor in wanted.tensors.items():
        assert (found.tensors[name].dtype, found.tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert found.tensors[name].numpy().tobytes() == tensor.numpy().tobytes()
    assert (found.facts, found.files) == (wanted.facts, wanted.files)
    assert bundle_digest(KIND, found) == json.loads((folder / "thing.json").read_text())["digest"]


def leaves(value, path=()):
    if isinstance(value, dict | list) and value:
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inside, (*path, key))
    else:
        yield path


def other_value(value):
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def test_a_change_of_any_fact_is_found(folder):
    document = json.loads((folder / "thing.json").read_text())
    for path in leaves(document):
        changed = copy.deepcopy(document)
        *above, last = path
        inside = changed
        for key in above:
            inside = inside[key]
        inside[last] = other_value(inside[last])
        (folder / "thing.json").write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=r"expected a thing .*; make it again"):
            load_bundle(folder, KIND)
        if above or last not in ("format", "digest"):
            del inside[last]
            (folder / "thing.json").write_text(json.dumps(changed))
            with pytest.raises(BundleError, match="damaged"):
                load_bundle(folder, KIND)
    (folder / "thing.json").write_text(json.dumps(document, indent=7, sort_keys=True))
    load_bundle(folder, KIND)  # how it is laid out says nothing


@pytest.mark.parametrize("name", ["thing.safetensors", "pictures/001.jpg"])
@pytest.mark.parametrize("damage", ["flip", "cut", "longer", "gone", "huge"])
def test_any_damage_of_a_file_is_found(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    changed = {"flip": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:-1], "longer": content + b"x"}
    if damage == "gone":
        path.unlink()
    elif damage == "huge":
        os.truncate(path, 1 << 42)  # sparse: reading it would ask for 4 TB
    else:
        path.write_bytes(changed[damage])
    with pytest.raises(BundleError, match=f"found a damaged one \\({path.name} .*\\); make it again") as error:
        load_bundle(folder, KIND)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, '{"format": NaN}', "\xff", '{"format": 3, "x": 1e999}', '{"format": 3}'],
)
def test_facts_that_are_none_are_one_line(folder, text):
    (folder / "thing.json").write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match="make it again") as error:
        load_bundle(folder, KIND)
    assert len(str(error.value)) < 600


def test_facts_that_claim_terabytes_are_not_read(folder):
    os.truncate(folder / "thing.json", 1 << 42)
    with pytest.raises(BundleError, match=r"thing\.json is larger than"):
        load_bundle(folder, KIND)


def test_what_is_not_there_says_how_to_make_it(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BundleError, match=r"a thing \(thing.json and thing.safetensors\), found none; make"):
            load_bundle(place, KIND)


@pytest.mark.parametrize("found", [1, 4, "3", None])
def test_another_format_says_so(tmp_path, found):
    folder = forge(tmp_path / "thing", thing(), format=found)
    with pytest.raises(BundleError, match=f"of format 3, found one of format {found} .*; make it again"):
        load_bundle(folder, KIND)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["firm/a", "loose/c"])
def test_numbers_that_are_none_are_refused_both_ways(tmp_path, name, value):
    bundle = thing()
    bundle.tensors[name].view(-1)[1] = value
    if name == "loose/c" and value is torch.nan:  # not known, and said so
        save_bundle(tmp_path / "thing", KIND, bundle)
        assert load_bundle(tmp_path / "thing", KIND).tensors[name].isnan().all()
        return
    with pytest.raises(NonFiniteError, match=f"NaN or infinity in {name}; nothing was written"):
        save_bundle(tmp_path / "thing", KIND, bundle)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BundleError, match=f"NaN or infinity in {name}"):
        load_bundle(forge(tmp_path / "thing", bundle), KIND)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_facts_are_finite_too(tmp_path, value):
    with pytest.raises(NonFiniteError, match=r"in thing\.json"):
        save_bundle(tmp_path / "thing", KIND, Bundle({}, {"level": value}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "pictures/../../secret.txt", "..\\secret.txt"])
def test_no_file_outside_the_folder_is_read(tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    bundle = Bundle({}, {}, {name: b"secret"})
    _, document = _written(KIND, bundle)
    folder = forge(tmp_path / "thing", Bundle({}, {}), **document)
    with pytest.raises(BundleError, match="files"):
        load_bundle(folder, KIND)


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: float = Field(gt=0)
    names: tuple[str, ...]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"level": "1", "names": []}, "level"),
        ({"level": 0, "names": []}, "level: input should be greater than 0"),
        ({"level": 1}, "names"),
        ({"level": 1, "names": [3]}, r"names\.0"),
        ({"level": 1, "names": [], "more": 1}, "more"),
    ],
)
def test_facts_have_names_types_and_ranges(tmp_path, facts, message):
    assert facts_as(tmp_path, KIND, Bundle({}, {"level": 2, "names": ["a"]}), Table) == Table(level=2, names=("a",))
    with pytest.raises(BundleError, match=message):
        facts_as(tmp_path, KIND, Bundle({}, facts), Table)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "g/a is missing"),
        ({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, "g/b is no tensor of its settings"),
        ({"a": torch.zeros(2, 4)}, r"g/a is float32 \[2, 4\], its settings say float32 \[2, 3\]"),
        ({"a": torch.zeros(6)}, r"g/a is float32 \[6\]"),
        ({"a": torch.zeros(2, 3, dtype=torch.float64)}, "g/a is float64"),
    ],
)
def test_tensors_have_names_types_and_shapes(tmp_path, found, message):
    wanted = {"a": torch.zeros(2, 3, device="meta")}
    check_tensors(tmp_path, KIND, "g", {"a": torch.zeros(2, 3)}, wanted)
    more = {"a": torch.zeros(1, 3)}
    check_tensors(tmp_path, KIND, "g", {"a": torch.zeros(7, 3)}, wanted, more)
    with pytest.raises(BundleError, match=message):
        check_tensors(tmp_path, KIND, "g", found, wanted)
    with pytest.raises(BundleError, match=r"g/[ab] is"):
        check_tensors(tmp_path, KIND, "g", found, wanted, more)


def test_groups_go_there_and_back(tmp_path):
    groups = {"one": {"b": torch.zeros(1), "a": torch.ones(1)}, "two": {}}
    flat = flattened(groups)
    assert list(flat) == ["one/a", "one/b"]
    assert grouped(tmp_path, KIND, flat, ("one", "two")) == groups
    with pytest.raises(BundleError, match="one/a belongs to nothing"):
        grouped(tmp_path, KIND, flat, ("two",))
