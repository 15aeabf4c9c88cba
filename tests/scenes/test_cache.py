"""Arrays are made once, are whole or not there, and give way to newer ones."""

import os
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import ConfigError, FootageWarning, OutputError, VideoError
from metavad.scenes.cache import Store, cache_folder, content_key, video_facts, working_frames
from metavad.scenes.scene import Crop, Video
from metavad.scenes.video import probe, read_frames, reader, tick_frames
from tests.footage import number_of, turned, write_frames, write_image, write_video


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "cache")


class Count:
    """A builder that counts how often it was asked."""

    def __init__(self, rows):
        self.rows, self.times = rows, 0

    def __call__(self):
        self.times += 1
        return self.rows() if callable(self.rows) else self.rows


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


def rows(count: int = 5, shape: tuple[int, ...] = (3, 4)):
    return [np.full(shape, number, np.uint8) for number in range(count)]


def test_an_array_is_built_once_and_comes_back_as_a_memory_map(store):
    build = Count(lambda: iter(rows()))
    first, second = store.array({"a": 1}, build), store.array({"a": 1}, build)
    assert build.times == 1
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, np.stack(rows()))
    np.testing.assert_array_equal(second, first)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_another_store_of_the_same_folder_finds_it(store):
    store.array({"a": 1}, lambda: np.arange(3))
    build = Count(np.zeros(1))
    assert Store(store.root).array({"a": 1}, build).tolist() == [0, 1, 2]
    assert build.times == 0


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"b": 1}, {"a": 1, "b": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"a": True}, {}]
)
def test_other_keys_are_other_arrays(store, other):
    store.array({"a": 1}, lambda: np.zeros(2))
    assert store.array(other, lambda: np.ones(3)).shape == (3,)


def test_keys_are_values_not_order(store):
    store.array({"a": 1, "b": {"c": 2, "d": np.int64(3)}, "p": Path("x")}, lambda: np.arange(2))
    again = {"p": "x", "b": {"d": 3, "c": 2}, "a": 1}
    assert store.array(again, Count(np.zeros(9))).shape == (2,)


def test_a_key_of_objects_is_refused(store):
    with pytest.raises(TypeError, match="plain values"):
        store.array({"a": object()}, lambda: np.zeros(1))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4), np.float32),
        np.zeros(0),
        np.float32([[1.5]]),
        np.array([True, False]),
        np.arange(6).reshape(2, 3).T,
    ],
)
def test_arrays_of_any_shape(store, array):
    for _ in range(2):
        found = store.array({"a": 1}, lambda: array)
        assert (found.shape, found.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(found, array)


def test_no_rows_are_an_empty_array(store):
    for _ in range(2):
        assert len(store.array({"a": 1}, lambda: iter(()))) == 0


@given(
    count=st.integers(1, 6),
    shape=st.lists(st.integers(0, 4), max_size=3).map(tuple),
    dtype=st.sampled_from([np.uint8, np.float32, np.int64, np.bool_, np.float16]),
)
def test_rows_are_written_as_numpy_would(tmp_path_factory, count, shape, dtype):
    made = [(np.arange(np.prod(shape)).reshape(shape) + n).astype(dtype) for n in range(count)]
    found = Store(tmp_path_factory.mktemp("store")).array({"a": 1}, lambda: iter(made))
    np.testing.assert_array_equal(found, np.stack(made))
    assert found.dtype == dtype


def test_rows_of_different_shapes_are_refused_and_leave_nothing(store):
    with pytest.raises(ValueError, match=r"expected rows uint8\(3, 4\), found uint8\(2, 4\)"):
        store.array({"a": 1}, lambda: iter([*rows(2), *rows(1, (2, 4))]))
    assert files(store) == []


def test_a_builder_that_fails_leaves_nothing(store):
    def build():
        yield from rows(3)
        raise VideoError("the file ends here")

    with pytest.raises(VideoError):
        store.array({"a": 1}, build)
    assert files(store) == []
    assert store.array({"a": 1}, lambda: np.zeros(2)).shape == (2,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"x" * len(data),
        lambda data: data[:20] + b"?" * 60 + data[80:],
    ],
)
def test_a_damaged_file_is_built_again(store, damage):
    store.array({"a": 1}, lambda: iter(rows()))
    (path,) = files(store)
    path.write_bytes(damage(path.read_bytes()))
    build = Count(lambda: iter(rows()))
    np.testing.assert_array_equal(store.array({"a": 1}, build), np.stack(rows()))
    assert build.times == 1


def test_a_pickle_in_the_cache_is_not_run(store, tmp_path):
    store.array({"a": 1}, lambda: np.zeros(2))
    (path,) = files(store)
    np.save(path, np.array([Path], object), allow_pickle=True)
    assert store.array({"a": 1}, lambda: np.ones(3)).tolist() == [1, 1, 1]


def use(store: Store, key: int, age: float) -> None:
    """Make an array of about a kilobyte that was last used ``age`` seconds ago."""
    store.array({"key": key}, lambda: np.full(1024, key, np.uint8))
    second = time.time() - age
    os.utime(store._path({"key": key}), (second, second))


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    store = Store(tmp_path, limit_bytes=3900)
    for key, age in ((1, 300), (2, 200), (3, 100)):
        use(store, key, age)
    store.array({"key": 1}, Count(np.zeros(1)))  # used again
    use(store, 4, 0)
    assert [store._path({"key": key}).exists() for key in (1, 2, 3, 4)] == [True, False, True, True]
    assert store.size() <= 3900


def test_the_limit_holds_over_many_arrays_and_few_looks(tmp_path, monkeypatch):
    looks, entries = [], Store._entries
    monkeypatch.setattr(Store, "_entries", lambda self: looks.append(1) or entries(self))
    stores = [Store(tmp_path, limit_bytes=40_000) for _ in range(2)]
    for key in range(60):
        for number, store in enumerate(stores):
            store.array({"key": key, "store": number}, lambda: np.zeros(900, np.uint8))
        assert sum(path.stat().st_size for path in files(stores[0])) <= 40_000 + 2 * 4_000
    assert len(looks) <= 40


def test_an_array_larger_than_the_limit_still_works(tmp_path):
    store = Store(tmp_path, limit_bytes=10)
    assert store.array({"key": 1}, lambda: np.zeros(100)).shape == (100,)


def test_an_array_in_use_outlives_its_eviction(tmp_path):
    store = Store(tmp_path, limit_bytes=1500)
    first = store.array({"key": 1}, lambda: np.arange(1024, dtype=np.uint8))
    use(store, 2, 0)
    assert not store._path({"key": 1}).exists()
    np.testing.assert_array_equal(first, np.arange(1024, dtype=np.uint8))


def test_what_dead_writers_left_goes_after_a_day(store):
    use(store, 1, 0)
    folder = store._path({"key": 1}).parent
    old, young = folder / ".old.npy", folder / ".young.npy"
    for path, age in ((old, 2 * 86400), (young, 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    use(Store(store.root), 2, 0)
    assert (old.exists(), young.exists()) == (False, True)


def test_an_array_of_somebody_else_is_used(store, monkeypatch):
    use(store, 1, 0)

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("metavad.scenes.cache.os.utime", refuse)
    assert (store.array({"key": 1}, lambda: pytest.fail("it is there")) == 1).all()


def test_size_is_what_arrays_take(store):
    assert store.size() == 0
    use(store, 1, 0)
    use(store, 2, 0)
    assert 2048 < store.size() < 4096


def test_place_and_limit_are_the_user_s(tmp_path, monkeypatch):
    monkeypatch.setenv("METAVAD_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("METAVAD_CACHE_GB", "0.5")
    assert (Store().root, Store().limit_bytes) == (tmp_path / "mine", 500_000_000)
    monkeypatch.delenv("METAVAD_CACHE")
    assert "metavad" in cache_folder().name
    for text in ("much", "nan", "inf", "-1", "1e999"):
        monkeypatch.setenv("METAVAD_CACHE_GB", text)
        with pytest.raises(ConfigError, match=f"METAVAD_CACHE_GB: expected a number of gigabytes, found '{text}'"):
            Store()


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_is_not_ours(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="METAVAD_CACHE"):
        Store(tmp_path / "cache").array({"a": 1}, lambda: np.zeros(1))


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="METAVAD_CACHE"):
        Store(tmp_path / "cache").array({"a": 1}, lambda: np.zeros(1))


def test_threads_that_build_the_same_array_all_get_it_whole(store):
    results = []

    def work() -> None:
        results.append(np.array(store.array({"a": 1}, lambda: iter(rows(50)))))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all((result == np.stack(rows(50))).all() for result in results)
    assert len(files(store)) == 1


def _write(root: Path, key: int) -> int:
    return int(Store(root, limit_bytes=5000).array({"key": key % 3}, lambda: np.full(1024, key % 3, np.uint8)).sum())


def test_processes_share_a_folder(tmp_path):
    with get_context("fork" if os.name == "posix" else "spawn").Pool(3) as pool:
        sums = pool.starmap(_write, [(tmp_path, key) for key in range(12)])
    assert sums == [1024 * (key % 3) for key in range(12)]


# --- videos --------------------------------------------------------------------------------------------------


def test_content_is_the_same_wherever_the_file_lies(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(5))
    copy = tmp_path / "other" / "b.mp4"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (1, 1))
    assert content_key(Video("a", path)) == content_key(Video("b", copy))


def test_content_changes_with_the_file(tmp_path):
    video = Video("a", write_video(tmp_path / "a.mp4", range(5)))
    keys = [content_key(video)]
    turned(video.path, 1)  # the same number of bytes
    os.utime(video.path, (1, 1))
    keys.append(content_key(video))
    write_video(video.path, range(6))
    keys.append(content_key(video))
    assert keys[0] != keys[1] != keys[2] != keys[0]


def test_a_rate_that_is_stated_is_other_content(tmp_path):
    path = write_video(tmp_path / "a.mp4", range(5))
    assert content_key(Video("a", path, 5)) != content_key(Video("a", path)) != content_key(Video("a", path, 6))


def test_what_is_to_be_reported_of_a_video_is_reported_each_time(store, tmp_path):
    video = Video("a", write_video(tmp_path / "a.mjpeg", range(5), codec="mjpeg"))
    for _ in range(2):
        with pytest.warns(FootageWarning, match=r"a\.mjpeg: its format has no times"):
            facts = video_facts(store, video)
        assert len(facts.warnings) == 1
    assert video_facts(store, Video("a", video.path, 5)).rate == 5


def test_content_of_folders(tmp_path):
    one, two = (write_frames(tmp_path / name, 4) for name in "ab")
    key = content_key(Video("a", one, 10))
    assert key == content_key(Video("b", two, 10))
    assert key != content_key(Video("a", one, 25))
    (one / "001.png").rename(one / "009.png")
    assert key != content_key(Video("a", one, 10))


@pytest.mark.parametrize("size", [12, 500])
def test_folders_that_agree_in_names_sizes_and_ends_are_distinguished(tmp_path, size):
    """Pictures without compression are all of one size; 500 pixels a side take more bytes than are read of each."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        for number in range(40):
            picture = np.full((size, size), 100, np.uint8)
            if folder.name == "b" and 20 <= number < 24:
                picture[size // 3 : size // 2, size // 3 : size // 2] = 255
            write_image(folder / f"{number:03d}.bmp", picture)
    one, two = (content_key(Video("x", folder, 10.0), dated=False) for folder in folders)
    assert one != two
    assert one["frames"] == two["frames"]
    (folders[1] / "020.bmp").write_bytes((folders[0] / "020.bmp").read_bytes())
    assert content_key(Video("x", folders[1], 10.0), dated=False) != two


def test_pictures_of_one_folder_are_not_those_of_another(store, tmp_path):
    """In a benchmark the second scene got the first one's cached pictures."""
    for name, grey in (("a", 10), ("b", 200)):
        for number in range(6):
            write_image(tmp_path / name / f"{number}.bmp", np.full((16, 16), grey if 0 < number < 5 else 90, np.uint8))
    one, two = (working_frames(store, Video("x", tmp_path / name, 10), short_side=16, rate=10)[0] for name in "ab")
    assert (one[3].max(), two[3].max()) == (10, 200)


def test_files_that_agree_in_size_and_ends_are_distinguished(tmp_path):
    """As videos without compression do, of a camera that is empty at first and at last."""
    content = bytes(5 << 20)
    paths = [tmp_path / "a.y4m", tmp_path / "b.y4m"]
    for path, middle in zip(paths, (b"\0", b"\1"), strict=True):
        path.write_bytes(content[: 2 << 20] + middle * (1 << 18) + content[(2 << 20) + (1 << 18) :])
    keys = [content_key(Video("x", path), dated=False) for path in paths]
    assert keys[0]["bytes"] == keys[1]["bytes"]
    assert keys[0] != keys[1]


def test_of_a_large_file_a_bounded_part_is_read(tmp_path):
    """And a change that no sample shows is told by its time, but in records, which are of any copy."""
    path = tmp_path / "a.y4m"
    with path.open("wb") as file:
        file.truncate(4 << 30)  # of nothing, on disk as well
    before, plain = (content_key(Video("x", path), dated=dated) for dated in (True, False))
    os.utime(path, (1, 1))
    assert content_key(Video("x", path)) != before
    assert content_key(Video("x", path), dated=False) == plain
    assert set(before) - set(plain) == {"changed"}


def test_small_content_is_known_by_itself_alone(tmp_path):
    """What is read to its last byte needs no time."""
    folder = write_frames(tmp_path / "a", 4)
    path = tmp_path / "a.y4m"
    path.write_bytes(bytes(3 << 20))
    keys = [content_key(Video("x", place, 10.0)) for place in (folder, path)]
    for place in (*folder.iterdir(), path):
        os.utime(place, (1, 1))
    assert [content_key(Video("x", place, 10.0)) for place in (folder, path)] == keys


def test_a_video_that_is_gone(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        content_key(Video("a", tmp_path / "none.mp4"))


def test_ticks_of_a_video(store, tmp_path):
    video = Video("a", write_video(tmp_path / "a.mp4", range(50), fps=25))
    images, frames, seconds = working_frames(store, video, short_side=16, rate=10)
    np.testing.assert_array_equal(frames, tick_frames(np.arange(50) / 25, 10))
    np.testing.assert_allclose(seconds, frames / 25, atol=2e-3)
    assert images.shape == (len(frames), 16, 32)
    assert images.dtype == np.uint8
    assert [number_of(image) for image in images] == frames.tolist()
    expected = [frame.image for frame in read_frames(video, short_side=16, every=frames)]
    np.testing.assert_array_equal(images, np.stack(expected))


def test_the_second_epoch_decodes_nothing(store, tmp_path, monkeypatch):
    video = Video("a", write_video(tmp_path / "a.mp4", range(20)))
    first, *_ = working_frames(store, video, short_side=16, rate=10, crop=Crop(top=2))

    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(reader, "opened", fail)
    again, *_ = working_frames(store, video, short_side=16, rate=10, crop=Crop(top=2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("other", [{"short_side": 8}, {"rate": 5}, {"crop": Crop(left=8)}])
def test_other_settings_are_other_arrays(store, tmp_path, other):
    video = Video("a", write_video(tmp_path / "a.mp4", range(20)))
    usual = {"short_side": 16, "rate": 10, "crop": Crop()}
    one, *_ = working_frames(store, video, **usual)
    two, *_ = working_frames(store, video, **{**usual, **other})
    assert one.shape != two.shape


@pytest.mark.parametrize("crop", [Crop(), Crop(top=4, right=8)])
def test_facts_are_what_probing_says(store, tmp_path, crop):
    video = Video("a", turned(write_video(tmp_path / "a.mp4", range(12), fps=25), 1))
    for _ in range(2):
        kept, probed = video_facts(store, video, crop), probe(video, crop)
        assert (kept.frames, kept.height, kept.width, kept.rate) == (12, probed.height, probed.width, probed.rate)
        np.testing.assert_array_equal(kept.seconds, probed.seconds)


def test_facts_know_a_crop_that_leaves_nothing(store, tmp_path):
    video = Video("a", write_video(tmp_path / "a.mp4", range(2)))
    with pytest.raises(VideoError, match="crop"):
        video_facts(store, video, Crop(top=32))


def test_memory_holds_one_row_while_rows_are_written(store):
    """Rows are made one by one and each may be forgotten before the next."""
    alive = []

    class Row(np.ndarray):
        def __del__(self):
            alive.remove(id(self))

    def build():
        for number in range(20):
            row = np.full((4, 4), number, np.uint8).view(Row)
            alive.append(id(row))
            yield row
            del row
            assert len(alive) <= 2

    assert store.array({"a": 1}, build).shape == (20, 4, 4)


@pytest.mark.parametrize("count", [1, 12_345])
def test_rows_are_an_array_file_of_numpy(tmp_path, count):
    Store(tmp_path).array({"a": 1}, lambda: (np.array([number, 7], np.int32) for number in range(count)))
    (path,) = tmp_path.glob("arrays/*/*.npy")
    read = np.load(path, allow_pickle=False)
    assert (read.dtype, read.shape) == (np.int32, (count, 2))
    assert read[-1].tolist() == [count - 1, 7]
