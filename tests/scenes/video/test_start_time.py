"""The time that a file says it was recorded at."""

from datetime import UTC, datetime, timedelta

import av
import pytest

from metavad.scenes.scene import Video
from metavad.scenes.video.start_time import own_start_time
from tests.footage import write_frames, write_video

NOON = datetime(2021, 6, 1, 12, tzinfo=UTC)


def stamped(source, path, metadata):
    """The same packets with these metadata."""
    with av.open(str(source)) as given, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        made.metadata.update(metadata)
        for packet in given.demux(stream):
            if packet.size:
                packet.stream = copy
                made.mux(packet)
    return Video("v", path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("plain") / "plain.mp4", range(4))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_creation_time_of_a_container(plain, tmp_path, suffix):
    video = stamped(plain, tmp_path / f"v{suffix}", {"creation_time": "2021-06-01T12:00:00.000000Z"})
    assert own_start_time(video) == NOON


def test_the_one_with_a_zone_comes_first(plain, tmp_path):
    local = {"creation_time": "2021-06-01T12:00:07Z", "com.apple.quicktime.creationdate": "2021-06-01T14:00:00+0200"}
    found = own_start_time(stamped(plain, tmp_path / "b.mov", local))
    assert found == NOON
    assert found.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("text", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2021", "2021-06-01", "noon: now",
                                  "2199-01-01T00:00:00Z"])  # fmt: skip
def test_what_cannot_be_meant_is_none(plain, tmp_path, text):
    key = "creation_time" if text.endswith("Z") else "date"
    assert own_start_time(stamped(plain, tmp_path / "v.mkv", {key: text})) is None


def test_neither_a_plain_file_nor_a_folder_has_one(plain, tmp_path):
    assert own_start_time(Video("v", plain)) is None
    assert own_start_time(Video("f", write_frames(tmp_path / "f", 3), fps=5)) is None
