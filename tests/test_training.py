"""What meta-training draws its episodes from."""

from metavad.progress import SILENT
from metavad.scenes.store import Store
from metavad.scenes.suite import load_suite
from metavad.training import _footage


def test_a_share_of_the_footage_is_the_beginning_of_each_video(cameras, tiny_config):
    scenes = load_suite(str(cameras)).scenes
    half = tiny_config.model_copy(update={"meta": tiny_config.meta.model_copy(update={"footage": 0.5})})
    whole, part = (_footage(scenes, config, Store(), 0, SILENT).all for config in (tiny_config, half))
    assert part.keys() == whole.keys()
    for key, reels in whole.items():
        assert [reel.frames for reel in part[key]] == [round(reel.frames / 2) for reel in reels]
        assert [reel.starts for reel in part[key]] == [reel.starts for reel in reels]
