"""Lists of videos as people save them: what they name is taken, and what is not there is named."""

import os

import pytest

from metavad.errors import SuiteError
from metavad.scenes.listing import videos_under
from metavad.scenes.suite import load_suite
from metavad.scenes.video_lists import chosen_by
from tests.footage import write_frames

FILES = ("01.mp4", "02.mp4", "03 x.mp4", "05.MP4", "cam2.2024.mp4", "a/07.mp4", "b/07.mp4", "both.avi", "both.mkv")


@pytest.fixture
def videos(tmp_path):
    for name in FILES:
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"")
    write_frames(tmp_path / "v" / "cam1.2024", 2, junk=False)
    return videos_under(tmp_path / "v", ["*", "*/*.mp4"])


def chosen(tmp_path, videos, content) -> list[str]:
    (tmp_path / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [os.path.relpath(video.path, tmp_path / "v") for video in chosen_by(tmp_path / "list.txt", videos)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("01\n02\n", ["01.mp4", "02.mp4"]),
        ("\ufeff01\r\n02\r\n", ["01.mp4", "02.mp4"]),
        ("01\n02\n".encode("utf-16"), ["01.mp4", "02.mp4"]),
        ("03 x.mp4\n01", ["03 x.mp4", "01.mp4"]),
        ("03 x\n", ["03 x.mp4"]),
        ("01 02.mp4\n", ["01.mp4", "02.mp4"]),
        ("# mine\n\n  01  \n", ["01.mp4"]),
        ("05.MP4\n", ["05.MP4"]),
        ("05.mp4\n", ["05.MP4"]),
        ("cam1.2024\ncam2.2024\n", ["cam1.2024", "cam2.2024.mp4"]),
        ("cam1.2024.avi\n", ["cam1.2024"]),
        ("a/07.mp4\nb\\07\n", ["a/07.mp4", "b/07.mp4"]),
        ("v/a/07\n", ["a/07.mp4"]),
        ("both.mkv", ["both.mkv"]),
    ],
)
def test_names_as_they_are_written(tmp_path, videos, content, found):
    assert chosen(tmp_path, videos, content) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("01\n77\n78\n", r"list\.txt, line 2: .* that is there, found '77', which is none .* in 1 more"),
        ("01\n2.mp4\n", r"line 2: .*found '2\.mp4'; did you mean '02\.mp4'\?"),
        ("01 77\n", r"line 1: .*found '01 77'"),
        ("01.avi\n", r"found '01\.avi'"),
        ("07\n", r"expected the name of one video, found '07' for .*a/07\.mp4 and .*b/07\.mp4"),
        ("both\n", r"expected the name of one video, found 'both'.*suffix"),
        (b"\xfe\x01\x02", "no text in UTF-8 or UTF-16"),
        (b"\x00\xff\x00", "no text in UTF-8 or UTF-16"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, videos, content, reason):
    with pytest.raises(SuiteError, match=reason) as caught:
        chosen(tmp_path, videos, content)
    assert "\n" not in str(caught.value)


def test_a_suite_takes_what_its_lists_name_in_the_order_of_the_videos(tmp_path, videos):
    (tmp_path / "one.txt").write_text("05.MP4\n01\n")
    (tmp_path / "two.txt").write_text("\ufeff01\ncam1.2024\n")
    text = '[[scenes]]\nname = "x"\nfps = 5\nnormal = ["v/*"]\nnormal_list = ["one.txt", "two.txt"]\n'
    (tmp_path / "s.toml").write_text(text)
    assert [video.name for video in load_suite(str(tmp_path / "s.toml")).scenes[0].normal] == ["01", "05", "cam1.2024"]
    (tmp_path / "two.txt").unlink()
    with pytest.raises(SuiteError, match=r"the list 'two\.txt' is not under"):
        load_suite(str(tmp_path / "s.toml"))
