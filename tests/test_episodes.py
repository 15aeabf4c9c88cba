import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metavad.episodes import Clip, EpisodeSampler, Shots, VideoSpan, draw_shots
from metavad.errors import DataError, ShotsError


def span(frames, video="01", scene="yard", every=1, **more):
    return VideoSpan(scene, video, frames, 25.0, tuple(range(0, frames, every)), **more)


spans = st.lists(st.integers(1, 120), min_size=1, max_size=3).map(
    lambda lengths: [span(frames, f"{number:02d}", every=2) for number, frames in enumerate(lengths)]
)


def overlap(one, other):
    return one.video == other.video and one.first < other.end and other.first < one.end


def sampler(scenes, **changes):
    options = {"seed": 0, "shots": (1, 4), "queries": 3, "length": 16, "gap": 1.0} | changes
    return EpisodeSampler(scenes, **options)


def test_clips_of_a_span_lie_between_its_first_and_last_frame():
    clips = span(40, every=10, first=10).clips(16)
    assert [(clip.first, clip.end) for clip in clips] == [(10, 26), (20, 36)]


@given(st.integers(2, 400), st.integers(0, 100), st.floats(0.01, 1.0))
def test_a_share_of_a_span_is_its_beginning(frames, first, share):
    whole = span(first + frames, first=first)
    begun = whole.begun(share)
    assert begun.frames - first == min(frames, max(2, round(share * frames)))
    assert set(begun.clips(2)) <= set(whole.clips(2))
    assert whole.begun(1.0) == whole


def test_a_video_shorter_than_a_clip_is_one_shorter_clip():
    assert span(9).clips(16) == [Clip("yard", "01", 0, 9)]
    assert span(1).clips(16) == []


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(2, 24), st.integers(0, 30))
def test_no_clip_reaches_over_a_gap(lengths, length, first):
    begins = [sum(lengths[:number]) for number in range(len(lengths))]
    parts = list(zip(begins, [*begins[1:], sum(lengths)], strict=True))
    joined = span(sum(lengths), first=first, recordings=tuple(begins))
    clips = joined.clips(length)
    for clip in clips:
        assert any(max(start, first) <= clip.first and clip.end <= stop for start, stop in parts)
    alone = [(start, clip) for start, stop in parts for clip in span(stop - start).whole(length)]
    assert [clip.first for clip in joined.whole(length)] == [s + c.first for s, c in alone if s + c.first >= first]
    if not joined.whole(length):
        assert [clip.end for clip in clips] == [stop for start, stop in parts if stop - max(start, first) > 1]


@given(spans, st.integers(1, 12), st.integers(1, 24), st.integers(0, 99))
def test_shots_are_distinct_disjoint_while_possible_and_counted(spans, shots, length, seed):
    pool = [clip for each in spans for clip in each.clips(length)]
    assume(len(pool) >= shots)
    drawn = draw_shots(spans, shots, length, seed)
    assert len(set(drawn.clips)) == len(drawn.clips) == shots
    assert set(drawn.clips) <= set(pool)
    free = [clip for number, clip in enumerate(drawn.clips) if not any(overlap(clip, o) for o in drawn.clips[:number])]
    if drawn.independent == shots:
        assert len(free) == shots
    else:
        assert any(overlap(one, other) for one in drawn.clips for other in drawn.clips if one != other)
    assert draw_shots(spans, shots, length, seed) == drawn


def drawn_plainly(spans, shots, length, seed):
    """The same draw, comparing every clip with every chosen one: the oracle."""
    pool = [clip for each in spans for clip in each.clips(length)]
    generator = random.Random(f"shots-{seed}-{shots}-{length}")
    edges, chosen = [0, *(round(len(pool) * part / shots) for part in range(1, shots + 1))], []
    for start, end in itertools.pairwise(edges):
        drawn = generator.sample(range(start, max(end, start + 1)), max(end, start + 1) - start)
        away = sorted(range(len(pool)), key=lambda number: (abs(number - drawn[0]), number))
        free = [n for n in (*drawn, *away) if not any(overlap(pool[n], other) for other in chosen)]
        new = [n for n in (*drawn, *range(len(pool))) if pool[n] not in chosen]
        chosen.append(pool[(free or new)[0]])
    return tuple(chosen)


@given(spans, st.integers(1, 30), st.integers(2, 24), st.integers(0, 99))
def test_shots_are_those_of_a_plain_search(spans, shots, length, seed):
    assume(sum(len(each.clips(length)) for each in spans) >= shots)
    assert draw_shots(spans, shots, length, seed).clips == drawn_plainly(spans, shots, length, seed)


def test_a_thousand_shots_of_little_footage_cost_little(monkeypatch):
    """Some forty comparisons a shot where clips lie close, not one with every other shot."""
    compared = 0

    def counting(one, other):
        nonlocal compared
        compared += 1
        return overlap(one, other)

    monkeypatch.setattr("metavad.episodes._overlap", counting)
    drawn = draw_shots([span(6000, every=3)], 1000, 16, 0)
    assert len(set(drawn.clips)) == 1000
    assert compared < 50 * 1000


@given(st.integers(1, 8), st.integers(0, 50))
def test_with_ample_footage_shots_share_no_frame_and_are_spread(shots, seed):
    clips = draw_shots([span(3000)], shots, 16, seed).clips
    assert not any(overlap(one, other) for one in clips for other in clips if one != other)
    width = 3000 / shots
    for number, clip in enumerate(clips):
        assert number * width - width / 2 <= clip.first <= (number + 1) * width + width / 2


def test_no_shots_are_no_clips():
    assert draw_shots([span(100)], 0, 16, 0) == Shots((), 0)


def test_the_clip_around_a_frame_is_the_nearest_there_is():
    footage = span(100)
    for frame in (0, 7, 50, 99):
        clip = footage.around(frame, 16)
        assert clip in footage.clips(16)
        assert all(abs(clip.first + 8 - frame) <= abs(other.first + 8 - frame) for other in footage.clips(16))


def test_what_is_shown_besides_counts_once():
    drawn = draw_shots([span(500)], 3, 16, 0)
    more = Clip("s", "v", 480, 16)
    assert drawn.also([more, drawn.clips[0], more]) == Shots((*drawn.clips, more), drawn.independent + 1)


def test_an_overlapping_shot_is_taken_only_when_nothing_is_free():
    shots = draw_shots([span(40)], 4, 16, 0)
    assert shots.independent < 4
    assert len(set(shots.clips)) == 4


def test_another_seed_draws_other_shots():
    assert len({draw_shots([span(500)], 3, 16, seed).clips for seed in range(10)}) == 10


def test_too_few_distinct_clips_are_one_line():
    with pytest.raises(ShotsError, match=r"yard: expected normal footage for 4 distinct clips of 16 frames, found 3"):
        draw_shots([span(18)], 4, 16, 0)
    with pytest.raises(ShotsError, match="found 0"):
        draw_shots([], 1, 16, 0)


@given(st.integers(0, 300), st.integers(0, 9), st.floats(0, 3))
def test_support_and_query_are_apart_by_the_gap(number, seed, gap):
    scenes = {name: [span(400, "01", name), span(300, "02", name)] for name in ("yard", "hall")}
    episode = sampler(scenes, seed=seed, gap=gap)(number)
    assert 1 <= len(episode.support) <= 4
    assert len(episode.query) == 3
    assert {clip.scene for clip in (*episode.support, *episode.query)} == {episode.scene}
    for one in episode.support:
        for other in episode.query:
            if one.video == other.video:
                assert max(one.first - other.end, other.first - one.end) >= round(gap * 25)


@given(st.integers(57, 200), st.integers(0, 30))
def test_with_little_footage_there_are_fewer_clips_but_never_a_shared_frame(frames, number):
    """A bug once: where the support filled the video, queries were drawn from the support."""
    episode = sampler({"yard": [span(frames)]}, shots=(4, 4))(number)
    assert episode.support
    assert episode.query
    assert not any(overlap(one, other) for one in episode.support for other in episode.query)


def test_a_scene_without_room_for_both_is_one_line():
    with pytest.raises(DataError, match=r"yard: expected normal footage for two clips of 16 frames, 1 s apart"):
        sampler({"yard": [span(30)]})(0)


@given(st.integers(0, 1000))
def test_an_episode_is_a_function_of_seed_and_number(number):
    scenes = {"yard": [span(300)], "hall": [span(300, scene="hall")]}
    fresh, used = sampler(scenes), sampler(scenes)
    for other in range(3):
        used(other)
    assert fresh(number) == used(number)
    assert fresh(number).number == number


def test_seeds_and_numbers_give_other_episodes():
    scenes = {"yard": [span(900)]}
    episodes = {sampler(scenes, seed=seed)(number).support for seed in range(5) for number in range(5)}
    assert len(episodes) == 25


def test_scenes_come_equally_often_in_every_round():
    scenes = {name: [span(300, scene=name)] for name in "abcde"}
    drawn = [sampler(scenes)(number).scene for number in range(25)]
    for turn in range(5):
        assert sorted(drawn[5 * turn : 5 * turn + 5]) == list("abcde")
    assert len({tuple(drawn[5 * turn : 5 * turn + 5]) for turn in range(5)}) > 1


def test_shots_are_drawn_from_their_range():
    episodes = sampler({"yard": [span(900)]}, shots=(2, 4))
    assert {len(episodes(number).support) for number in range(60)} == {2, 3, 4}


def test_abnormal_clips_touch_a_known_anomaly_and_only_where_there_are_some():
    bad = replace(span(200, "bad", side="test"), abnormal=((50, 60), (120, 140)))
    episodes = sampler({"yard": [span(300)]}, abnormal={"yard": [bad]})
    for number in range(20):
        for clip in episodes(number).abnormal:
            assert clip.video == "bad"
            assert any(clip.first < end and start < clip.end for start, end in bad.abnormal)
    assert sampler({"yard": [span(300)]})(0).abnormal == ()


def test_no_scenes_and_no_footage_are_one_line():
    with pytest.raises(DataError, match="at least one scene"):
        sampler({})
    with pytest.raises(DataError, match="at least one clip"):
        sampler({"yard": [span(1)]})(0)


def test_long_footage_costs_little():
    """274,515 frames: a few thousand clip comparisons an episode, not hundreds of thousands."""
    episodes = sampler({"yard": [span(270_000, every=3)]}, shots=(10, 10))
    episodes(0)
    compared = 0
    original = EpisodeSampler._near

    def counting(*arguments):
        nonlocal compared
        compared += 1
        return original(*arguments)

    EpisodeSampler._near = counting
    try:
        for number in range(1, 11):
            episodes(number)
    finally:
        EpisodeSampler._near = original
    assert compared < 10 * 100
