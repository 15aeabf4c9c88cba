"""Miniatures of the released trees: folders and files called as they are distributed, junk included.

Each is a function of the data root, in a table with the suite that it is of. The pictures are numbered, not moving.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.io

from tests.footage import HEIGHT, WIDTH, box_mask, write_frames, write_image, write_masks, write_video

BOX = (10, 4, 20, 8)
"""What is abnormal in every mask: x0, y0, x1, y1."""


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def cells(items: Sequence[np.ndarray]) -> np.ndarray:
    """A 1xN cell array."""
    array = np.empty((1, len(items)), object)
    for place, item in enumerate(items):
        array[0, place] = item
    return array


def mat(path: Path, **variables) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables)
    return path


def ped_official(data: Path, number: int = 2) -> None:
    root = data / "UCSD_Anomaly_Dataset.v1p2" / f"UCSDped{number}"
    for name in ("Train/Train001", "Train/Train002", "Test/Test001", "Test/Test002"):
        write_frames(root / name, 9, suffix=".tif", first=1)
    write_masks(root / "Test" / "Test001_gt", [0, 0, 1, 1, 1, 0, 0, 1, 1])
    (root / "Test" / "Test001_gt" / "._001.bmp").write_bytes(b"junk")
    text(
        root / "Test" / f"UCSDped{number}.m",
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [3:5, 8:9];\nTestVideoFile{end+1}.gt_frame = [1:9];\n",
    )
    for junk in (
        ".DS_Store",
        "Test/.DS_Store",
        "Train/._.DS_Store",
        f"Test/UCSDped{number}.m~",
        f"Test/._UCSDped{number}.m",
    ):
        text(root / junk, "junk")


def ped_repacked(data: Path, number: int = 2) -> None:
    name = f"ped{number}"
    for folder in ("training/frames/01", "testing/frames/01", "testing/frames/02"):
        write_frames(data / name / folder, 9, suffix=".jpg")
    intervals = [np.array([[3, 8], [5, 9]], np.uint8), np.array([[1], [9]], np.uint8)]
    mat(data / name / f"{name}.mat", gt=cells(intervals))


def ped2_as_hf2_vad(data: Path) -> None:
    for folder in ("training/frames/Train001", "testing/frames/Test001"):
        write_frames(data / "ped2" / folder, 4, suffix=".tif", first=1)
    write_masks(data / "ped2" / "testing/frames/Test001_gt", [0, 1, 1, 0])
    text(data / "ped2" / "ground_truth_demo" / "gt_label.json", "a pickle, never read")


def ped2_as_mp4(data: Path) -> None:
    for name in ("training/01", "testing/01"):
        write_video(data / "ped2" / f"{name}.mp4", range(4))
    save(data / "ped2" / "labels" / "01.npy", np.array([0, 1, 1, 0], np.uint8))
    write_masks(data / "ped2" / "pixel_masks" / "01", [0, 1, 1, 0], suffix=".png", first=0)


def avenue_videos(root: Path) -> None:
    for name, frames in (("training_videos/01", 6), ("testing_videos/01", 6), ("testing_videos/02", 5)):
        write_video(root / "Avenue Dataset" / f"{name}.avi", range(frames), codec="mpeg4", fps=25)
    text(root / "Avenue Dataset" / "testing_vol" / "vol01.mat", "not read")
    text(root / "Avenue Dataset" / "testing_videos" / "._01.avi", "junk")
    text(root / "Avenue Dataset" / ".DS_Store", "junk")


def avenue_masks(root: Path) -> None:
    folder = root / "ground_truth_demo" / "testing_label_mask"
    for clip, marks in ((1, [0, 1, 1, 0, 0, 0]), (2, [1] * 5)):
        mat(folder / f"{clip}_label.mat", volLabel=cells([box_mask(mark) for mark in marks]))
    text(root / "ground_truth_demo" / "ground_truth_show.m", "% shows them\n")


def avenue(data: Path, folder: str = "avenue") -> None:
    avenue_videos(data / folder)
    avenue_masks(data / folder)


def avenue_intervals(data: Path, folder: str = "avenue") -> None:
    avenue_videos(data / folder)
    pairs = [np.array([[2, 5], [3, 6]], np.uint16), np.zeros((2, 0), np.uint16)]
    mat(data / folder / "avenue.mat", gt=cells(pairs))


def avenue_repacked(data: Path) -> None:
    for folder, frames in (("training/frames/01", 4), ("testing/frames/01", 6), ("testing/frames/02", 5)):
        write_frames(data / "avenue" / folder, frames, suffix=".jpg", digits=4)
    avenue_masks(data / "avenue")
    intervals = [np.array([[2], [3]], np.uint16), np.array([[1], [5]], np.uint16)]
    mat(data / "avenue" / "avenue.mat", gt=cells(intervals))


def shanghaitech(data: Path) -> Path:
    root = data / "shanghaitech"
    for name in ("01_001", "02_001", "13_001"):
        write_video(root / "training" / "videos" / f"{name}.avi", range(3), codec="mpeg4", fps=24)
    for name, first, digits in (("01_0014", 0, 3), ("02_0002", 1, 6)):
        write_frames(root / "testing" / "frames" / name, 4, suffix=".jpg", first=first, digits=digits)
        save(root / "testing" / "test_frame_mask" / f"{name}.npy", np.array([0, 1, 1, 0], np.uint8))
        masks = np.stack([box_mask(mark) for mark in (0, 1, 1, 0)])
        save(root / "testing" / "test_pixel_mask" / f"{name}.npy", masks)
    text(root / "testing" / ".DS_Store", "junk")
    text(root / "training" / "videos" / "._01_001.avi", "junk")
    return root


def shanghaitech_converted(data: Path) -> None:
    root = shanghaitech(data)
    (root / "training" / "videos").rename(root / "training" / "converted_videos")


def shanghaitech_frames(data: Path) -> None:
    root = shanghaitech(data)
    for video in sorted((root / "training" / "videos").iterdir()):
        if not video.name.startswith("."):
            write_frames(root / "training" / "frames" / video.stem, 3, suffix=".jpg")
        video.unlink()


def ubnormal(data: Path) -> Path:
    root = data / "UBnormal"
    for scene, name, count in (
        (1, "normal_scene_1_scenario_1", 4),
        (1, "normal_scene_1_scenario_2", 4),
        (1, "abnormal_scene_1_scenario_3_fog", 5),
        (11, "normal_scene_11_scenario_6_1", 4),
    ):
        write_video(root / f"Scene{scene}" / f"{name}.mp4", range(count), fps=30)
    folder = root / "Scene1" / "abnormal_scene_1_scenario_3_fog_annotations"
    for frame, objects in enumerate(({}, {1: 0, 2: 20}, {1: 1}, {1: 2, 3: 40}, {})):
        ids = np.zeros((HEIGHT, WIDTH), np.uint8)
        for name, x in objects.items():
            ids[2:6, x : x + 3] = name
            ids[20, x] = name  # a stray pixel: the largest contour counts
        write_image(folder / f"abnormal_scene_1_scenario_3_fog_{frame:04d}_gt.png", ids)
    rows = "1.000000000000000000e+00,1.000000000000000000e+00,3.000000000000000000e+00\n"
    text(folder / "abnormal_scene_1_scenario_3_fog_tracks.txt", rows)
    return root


def ubnormal_by_lists(data: Path) -> None:
    scripts = ubnormal(data) / "scripts"
    text(scripts / "normal_training_video_names.txt", "normal_scene_1_scenario_1\nnormal_scene_11_scenario_6_1\n")
    text(scripts / "normal_test_video_names.txt", "normal_scene_1_scenario_2\n")
    text(scripts / "abnormal_test_video_names.txt", "abnormal_scene_1_scenario_3_fog\n")


def nwpu_campus(data: Path, form: str = "one npz") -> None:
    root = data / "NWPU_Campus"
    for name in ("Train/D001_01", "Train/D002_01", "Test/D001_02"):
        write_video(root / f"{name}.avi", range(4), codec="mpeg4")
    marks = np.array([0, 0, 1, 1], np.uint8)
    (root / "gt").mkdir()
    if form == "one npz":
        np.savez(root / "gt.npz", **{"D001_02": marks, "D009_01": marks[:2]})
    elif form == "npz per video":
        np.savez(root / "gt" / "D001_02.npz", marks)
    else:
        np.save(root / "gt" / "D001_02.npy", marks)


def street_scene(data: Path) -> None:
    root = data / "StreetScene"
    for name in ("Train/Train001", "Test/Test001"):
        write_frames(root / name, 5, suffix=".jpg", first=1)
    rows = "Test001/002.jpg 0 10 4 10 4\nTest001/003.jpg 0 10 4 10 4\n\n003.jpg 1 0 0 5 5\n"
    text(root / "Test" / "Test001" / "Test001_gt.txt", rows)


def ur_fall(data: Path) -> None:
    root = data / "ur-fall"
    for name in ("adl-01-cam0-rgb", "fall-01-cam0-rgb", "fall-10-cam0-rgb"):
        write_frames(root / name, 8)
    rows = [("fall-01", 1, -1), ("fall-01", 3, 0), ("fall-01", 4, 1), ("fall-01", 8, -1), ("fall-10", 6, 1)]
    text(root / "urfall-cam0-falls.csv", "".join(f"{a},{b},{c},3.2,0.4\n" for a, b, c in rows))


def msad(data: Path) -> None:
    root = data / "MSAD"
    names = ("normal_training_blur/shop_1", "normal_training_blur/perdestrian_street_2", "normal_testing_blur/shop_9")
    for name in names:
        write_video(root / f"MSAD_{name}.mp4", range(5), fps=30)
    write_video(root / "MSAD_anomaly_blur" / "Assault" / "Assault_1.mp4", range(6), fps=30)
    header = "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly\n"
    text(root / "anomaly_annotation.csv", header + "Assault_1,shop,6,3,6\n")


def ucf_crime(data: Path) -> None:
    folder = data / "UCF-Crime" / "Training_Normal_Videos_Anomaly"
    for number in (1, 2):
        write_video(folder / f"Normal_Videos{number:03d}_x264.mp4", range(3))


def ucf_crime_unpacked(data: Path) -> None:
    for part in (1, 2):
        folder = data / "UCF-Crime" / f"Training-Normal-Videos-Part-{part}" / "Training_Normal_Videos_Anomaly"
        write_video(folder / f"Normal_Videos{part:03d}_x264.mp4", range(3))


def umn(data: Path) -> None:
    for scene in ("lawn", "indoor", "plaza"):
        path = write_video(data / "umn" / scene / "Trim1.mp4", range(320), fps=30, size=(64, 64))
        for name in ("intervals.csv", "banner.csv"):
            text(path.parent / name, "video,start,end\nTrim1,310,315\nTrim2,0,5\n")


LAYOUTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "ped1 official": ("ped1", lambda data: ped_official(data, 1)),
    "ped1 repacked": ("ped1", lambda data: ped_repacked(data, 1)),
    "ped2 official": ("ped2", ped_official),
    "ped2 repacked": ("ped2", ped_repacked),
    "ped2 hf2-vad": ("ped2", ped2_as_hf2_vad),
    "ped2 mp4": ("ped2", ped2_as_mp4),
    "avenue official": ("avenue", avenue),
    "avenue without a folder": ("avenue", lambda data: avenue(data, ".")),
    "avenue repacked": ("avenue", avenue_repacked),
    "avenue-intervals official": ("avenue-intervals", avenue_intervals),
    "avenue-intervals without a folder": ("avenue-intervals", lambda data: avenue_intervals(data, ".")),
    "avenue-intervals repacked": ("avenue-intervals", avenue_repacked),
    "shanghaitech released": ("shanghaitech", shanghaitech),
    "shanghaitech frames": ("shanghaitech", shanghaitech_frames),
    "shanghaitech converted": ("shanghaitech", shanghaitech_converted),
    "shanghaitech-6-7 released": ("shanghaitech-6-7", shanghaitech),
    "ubnormal by name": ("ubnormal", ubnormal),
    "ubnormal official split": ("ubnormal", ubnormal_by_lists),
    "nwpu-campus one npz": ("nwpu-campus", nwpu_campus),
    "nwpu-campus npz per video": ("nwpu-campus", lambda data: nwpu_campus(data, "npz per video")),
    "nwpu-campus npy per video": ("nwpu-campus", lambda data: nwpu_campus(data, "npy per video")),
    "street-scene": ("street-scene", street_scene),
    "ur-fall": ("ur-fall", ur_fall),
    "msad": ("msad", msad),
    "ucf-crime-normal one folder": ("ucf-crime-normal", ucf_crime),
    "ucf-crime-normal as unpacked": ("ucf-crime-normal", ucf_crime_unpacked),
    "umn": ("umn", umn),
    "umn-banner": ("umn-banner", umn),
}
"""By what it is called here: the suite, and what writes it."""
