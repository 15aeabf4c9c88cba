"""Array files that claim what they do not hold: one line, and nothing is allocated."""

import io
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest

from metavad.errors import DataError
from metavad.scenes.array_files import ArrayError, archived_arrays, mapped_array
from metavad.scenes.cache import Store
from metavad.scenes.keypoints import read_keypoints
from metavad.scenes.labels import frame_labels
from metavad.scenes.scene import LabelSource, Scene, Video

SHAPES = [(1 << 42,), (1 << 31, 1 << 31, 4), (1 << 62, 1 << 62), (-5,), (-1 << 31, -1 << 31), (7,)]
"""Of arrays that a file of a few bytes does not hold."""


def array_file(shape, dtype="<f8", content=bytes(16), fortran=False, version=(1, 0)):
    """An .npy whose header says what it likes."""
    text = repr({"descr": dtype, "fortran_order": fortran, "shape": shape}).encode("latin1")
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + content


def archive_file(members, compression=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return made.getvalue()


@contextmanager
def at_most(size):
    """Raises where the block has more memory than this at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [np.arange(6), np.ones((2, 3, 4), np.float32), np.zeros((0, 3)), np.array(5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_right_comes_back(tmp_path, array, order):
    array = np.asarray(array, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", one=array, other=array)
    np.savez_compressed(tmp_path / "b.npz", one=array)
    found = [mapped_array(tmp_path / "a.npy", whole=True)]
    found += [each.values(1 << 20) for name in "ab" for each in archived_arrays(tmp_path / f"{name}.npz").values()]
    assert len(found) == 4
    for each in found:
        np.testing.assert_array_equal(each, array)
        assert (each.dtype, each.shape) == (array.dtype, array.shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_header_that_claims_more_than_there_is(tmp_path, shape, version):
    (tmp_path / "a.npy").write_bytes(array_file(shape, version=version))
    (tmp_path / "a.npz").write_bytes(archive_file({"a": array_file(shape, version=version)}))
    with at_most(1 << 20):
        with pytest.raises(ArrayError) as error:
            mapped_array(tmp_path / "a.npy")
        assert "\n" not in str(error.value)
        with pytest.raises(ArrayError):
            archived_arrays(tmp_path / "a.npz")["a"].values(1 << 50)


OTHERS = {
    "nothing": b"",
    "magic alone": b"\x93NUMPY",
    "half a header": b"\x93NUMPY\x01\x00\xff\xff",
    "another version": b"\x93NUMPY\x09\x00aaaa",
    "values of no bytes": array_file((2,), "|V0"),
    "a pickle": b"\x80\x04.",
    "pickled values": array_file((2,), "|O"),
    "deep header": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000,
    "noise": np.random.default_rng(0).bytes(500),
    "cut": array_file((2,))[:-20],
    "no shape": array_file("x"),
    "no type": array_file((2,), "nonsense"),
    "a shape of words": array_file((2, "3")),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_one_error(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    (tmp_path / "a.npz").write_bytes(archive_file({"a": content}))
    with pytest.raises(ArrayError) as error:
        mapped_array(tmp_path / "a.npy")
    assert "\n" not in str(error.value)
    with pytest.raises(ArrayError):
        archived_arrays(tmp_path / "a.npz")["a"].values(1 << 20)
    with pytest.raises(ArrayError):
        archived_arrays(tmp_path / "a.npy")


@pytest.mark.parametrize("damage", ["lying size", "checksum", "encrypted", "method", "cut"])
def test_damaged_archives_are_one_error(tmp_path, damage):
    content = bytearray(archive_file({"a": array_file((2,))}, zipfile.ZIP_STORED))
    entry = content.index(b"PK\x01\x02")
    if damage == "lying size":  # the directory says a terabyte, and the header does
        content = bytearray(archive_file({"a": array_file((1 << 28,))}, zipfile.ZIP_STORED))
        entry = content.index(b"PK\x01\x02")
        content[entry + 24 : entry + 28] = b"\xf0\xff\xff\xff"
    elif damage == "checksum":
        content[entry - 1] ^= 1
    elif damage == "encrypted":
        content[6] |= 1
        content[entry + 8] |= 1
    elif damage == "method":
        content[8], content[entry + 10] = 77, 77
    else:
        content = content[: len(content) // 2]
    (tmp_path / "a.npz").write_bytes(content)
    with at_most(1 << 20), pytest.raises(ArrayError) as error:
        archived_arrays(tmp_path / "a.npz")["a"].values(1 << 40)
    assert "\n" not in str(error.value)


def test_a_small_archive_of_a_large_array_is_not_read(tmp_path):
    (tmp_path / "a.npz").write_bytes(archive_file({"a": array_file((1 << 23,), content=bytes(1 << 26))}))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 18
    with at_most(1 << 20), pytest.raises(ArrayError, match="at most 65600"):
        archived_arrays(tmp_path / "a.npz")["a"].values(65600)


@pytest.mark.parametrize("form", ["npy", "npz", "npy-masks", "ubnormal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_that_claim_terabytes(tmp_path, form, shape):
    content = array_file(shape, "|u1")
    (tmp_path / "v1.dat").write_bytes(archive_file({"v1": content}) if form == "npz" else content)
    scene = Scene("s", "c", tmp_path, labels=LabelSource(format=form, path="{video}.dat", root=tmp_path))
    with at_most(1 << 20), pytest.raises(DataError) as error:
        frame_labels(scene, Video("v1", tmp_path / "v1.mp4"), 6)
    assert "\n" not in str(error.value)


def test_labels_of_other_videos_in_the_archive_may_be_longer(tmp_path):
    np.savez_compressed(tmp_path / "all.npz", v1=np.array([0, 1, 0, 0]), v2=np.zeros(50_000))
    scene = Scene("s", "c", tmp_path, labels=LabelSource(format="npz", path="all.npz", root=tmp_path))
    assert frame_labels(scene, Video("v1", tmp_path / "v1.mp4"), 4).tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", ["frames", "tracks", "points"])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 17, 2, 1), (3, 4, 2)])
def test_keypoints_that_claim_terabytes(tmp_path, name, shape):
    right = {"frames": (3,), "tracks": (3,), "points": (3, 17, 2)}
    members = {key: array_file(each, content=bytes(8 * int(np.prod(each)))) for key, each in right.items()}
    (tmp_path / "a.npz").write_bytes(archive_file(members))
    assert len(read_keypoints(tmp_path / "a.npz", Video("v1", tmp_path / "v1.mp4")).frames) == 3
    (tmp_path / "a.npz").write_bytes(archive_file({**members, name: array_file(shape, content=bytes(1000))}))
    with at_most(1 << 20), pytest.raises(DataError, match="expected poses") as error:
        read_keypoints(tmp_path / "a.npz", Video("v1", tmp_path / "v1.mp4"))
    assert "\n" not in str(error.value)


POSES = {
    "frame beyond numbers": f'[{{"image_id": "{"9" * 40}.jpg", "keypoints": {[0.0] * 51}}}]',
    "deep": "[" * 100_000,
    "numbers as people": '{"1": {"2": 3}}',
    "no numbers": f'[{{"image_id": "1.jpg", "keypoints": {["Infinity"] * 51}}}]'.replace("'", ""),
    "person beyond numbers": f'{{"{"9" * 40}": {{"1": {{"keypoints": {[0.0] * 51}}}}}}}',
}


@pytest.mark.parametrize("text", POSES.values(), ids=POSES)
def test_keypoints_of_another_kind_are_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="expected poses"):
        read_keypoints(tmp_path / "a.json", Video("v1", tmp_path / "v1.mp4"))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kept_array_that_claims_terabytes_is_made_again(tmp_path, shape):
    store = Store(tmp_path)
    store.array({"kind": "a"}, lambda: np.arange(4))
    (path,) = tmp_path.glob("arrays/*/*.npy")
    path.write_bytes(array_file(shape))
    with at_most(1 << 20):
        assert store.array({"kind": "a"}, lambda: np.arange(4)).tolist() == [0, 1, 2, 3]
