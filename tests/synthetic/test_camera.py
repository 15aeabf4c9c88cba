import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metavad.errors import UsageError
from metavad.synthetic import EVENT_KINDS, abnormal_kinds, sample_camera
from metavad.synthetic.camera import KINDS, Lens

lenses = st.builds(
    Lens,
    width=st.just(320),
    height=st.just(240),
    focal=st.floats(150, 500),
    altitude=st.floats(2, 12),
    tilt=st.floats(0.3, 0.8),
)


@given(lenses, st.floats(0, 1), st.floats(0.5, 1))
def test_a_ground_point_is_seen_where_it_was_looked_up(lens, across, down):
    x, y = lens.at(across, down)
    pixel, depth = lens.project(np.array([x, y, 0.0]))
    np.testing.assert_allclose(pixel, [across * 320, down * 240], atol=1e-6)
    assert depth > 0


@given(lenses, st.floats(3, 40))
def test_what_is_farther_away_is_smaller_and_higher_in_the_frame(lens, y):
    widths, feet = [], []
    for distance in (y, y + 5):
        pixels, _ = lens.project(np.array([[0.0, distance, 0.0], [0.5, distance, 0.0]]))
        widths.append(pixels[1, 0] - pixels[0, 0])
        feet.append(pixels[0, 1])
    assert feet[1] < feet[0]
    assert 0 < widths[1] < widths[0]


def test_a_camera_is_a_function_of_seed_and_number():
    assert sample_camera(3, 5, "small") == sample_camera(3, 5, "small")
    assert sample_camera(3, 5, "small") != sample_camera(4, 5, "small")
    assert sample_camera(3, 5, "small") != sample_camera(3, 6, "small")


def test_seven_cameras_in_a_row_are_of_seven_kinds():
    for start in (0, 7, 14):
        assert {sample_camera(1, start + number, "tiny").kind for number in range(7)} == set(KINDS)


def test_people_fill_a_third_of_the_frame_indoors_and_little_of_a_street():
    def share(spec):
        x, y = spec.lens.at(0.5, 0.75)
        pixels, _ = spec.lens.project(np.array([[x, y, 0.0], [x, y, 1.7]]))
        return (pixels[0, 1] - pixels[1, 1]) / spec.lens.height

    shares: dict[str, list[float]] = {}
    for number in range(70):
        spec = sample_camera(2, number, "small")
        shares.setdefault(spec.kind, []).append(share(spec))
    assert np.mean(shares["room"]) > 1 / 3
    assert np.mean(shares["street"]) < 1 / 4


def test_the_same_thing_is_normal_here_and_abnormal_there():
    cameras = [sample_camera(0, number, "tiny") for number in range(60)]
    pairs = {"fast": "running", "lying": "lying", "close": "close", "thrown": "throwing"}
    for kind, habit in pairs.items():
        normal = [habit in spec.habits.includes for spec in cameras]
        abnormal = [kind in abnormal_kinds(spec) for spec in cameras]
        assert any(normal)
        assert any(abnormal)
        assert not any(here and there for here, there in zip(normal, abnormal, strict=True))


def test_every_kind_is_abnormal_on_a_third_of_the_cameras_at_least():
    cameras = [sample_camera(5, number, "tiny") for number in range(100)]
    for kind in EVENT_KINDS:
        assert sum(kind in abnormal_kinds(spec) for spec in cameras) > 33


def test_an_unknown_size_names_the_right_one():
    with pytest.raises(UsageError, match="did you mean 'small'"):
        sample_camera(0, 0, "smal")  # type: ignore[arg-type]
