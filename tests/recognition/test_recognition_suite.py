"""Classes from folders of clips."""

from metavad.recognition.suite import class_suite_of


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_one_folder_is_halved_in_natural_order(tmp_path):
    touch(tmp_path, *(f"walk/{n}.mp4" for n in (1, 2, 9, 10, 11)), "jump/a.avi", "jump/.DS_Store", "jump/notes.txt")
    (tmp_path / "gym.toml").write_text('[recognition]\nallowed = ["walk"]\naccept = 0.8\n')
    suite = class_suite_of(str(tmp_path / "gym.toml"))
    (walk,), (jump,) = suite.side(allowed=True), suite.side(allowed=False)
    assert [clip.name for clip in walk.train] == ["walk/1.mp4", "walk/2.mp4"]
    assert [clip.name for clip in walk.test] == ["walk/9.mp4", "walk/10.mp4", "walk/11.mp4"]
    assert (jump.train, [clip.name for clip in jump.test], suite.accept) == ((), ["jump/a.avi"], 0.8)


def test_folders_of_train_and_test(tmp_path):
    touch(tmp_path, "train/walk/a.mp4", "train/jump/b.mp4", "test/walk/c.mp4", "test/jump/d.mp4", "test/fall/e.mp4")
    (tmp_path / "gym.toml").write_text('[recognition]\nallowed = ["walk"]\ntrain = "train"\ntest = "test"\n')
    suite = class_suite_of(str(tmp_path / "gym.toml"))
    found = {each.name: (each.allowed, len(each.train), len(each.test)) for each in suite.classes}
    assert found == {"walk": (True, 1, 1), "jump": (False, 0, 1), "fall": (False, 0, 1)}


def test_cameras_are_no_classes(tmp_path):
    (tmp_path / "site.toml").write_text('[[scenes]]\nname = "a"\nnormal = ["*.mp4"]\n')
    assert class_suite_of(str(tmp_path / "site.toml")) is None
