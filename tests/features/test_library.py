"""What a digest of a camera's footage depends on."""

from dataclasses import replace

from metavad.config import PoseConfig
from metavad.features.library import shown_digest
from metavad.features.poses import PosesFeature
from metavad.scenes.scene import Scene, Video
from tests.footage import write_video


def test_it_says_on_which_side_a_video_is(tmp_path):
    a, b, c = (Video(name, write_video(tmp_path / f"{name}.mp4", [n])) for n, name in enumerate("abc"))
    scene = Scene("s", "x", tmp_path, normal=(a, b), test=(c,))
    assert shown_digest(scene) == shown_digest(replace(scene))
    assert shown_digest(scene) != shown_digest(replace(scene, normal=(a,), test=(b, c)))


def test_it_says_what_files_beside_a_video_hold_where_they_are_read(tmp_path):
    scene = Scene("s", "x", tmp_path, test=(Video("a", write_video(tmp_path / "a.mp4", [1])),))
    poses = [PosesFeature(PoseConfig())]
    before = shown_digest(scene), shown_digest(scene, poses)
    (tmp_path / "a.json").write_text("[]")
    assert shown_digest(scene) == before[0]
    first = shown_digest(scene, poses)
    (tmp_path / "a.json").write_text("{}")
    assert len({before[1], first, shown_digest(scene, poses)}) == 3
