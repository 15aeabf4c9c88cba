"""Which operations give other bits on other numbers of threads, and on runs that differ in nothing else.

    python benchmarks/bits.py --json benchmarks/bits.json

Each operation is computed once on one thread and again on 2, 3, 4 and 8 (of more threads than cores the shares are the
same as on so many cores), and the results are compared bit by bit. Shapes are those of ten shots and of large networks.
"""

import argparse
from collections.abc import Callable, Iterable
from fractions import Fraction
from io import BytesIO

import av
import cv2
import numpy as np
import torch
from record import begin, options, record_of, write
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

THREADS = (1, 2, 3, 4, 8)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    return options(__doc__, base=False)


def main() -> None:
    """Compare, print, and keep the record with ``--json``."""
    given = begin(arguments())
    found = {
        "torch": {name: compared(work, torch.set_num_threads) for name, work in of_torch().items()},
        "opencv": {name: compared(work, cv2.setNumThreads) for name, work in of_opencv().items()},
        "numpy": {name: under_blas(work) for name, work in of_numpy().items()},
        "pyav": {"decoding": decoding()},
    }
    torch.set_num_threads(1)
    record = record_of(found, base=None, seed=None, compared=THREADS)
    print(record.model_dump_json(indent=1))
    write(given.json, record)


def compared(work: Callable[[], np.ndarray], set_threads: Callable[[int], None]) -> str:
    """``same``, or the numbers of threads at which the bits are others than on one."""
    results = []
    for threads in THREADS:
        set_threads(threads)
        results.append(work())
    return verdict(results)


def under_blas(work: Callable[[], np.ndarray]) -> str:
    """The same for NumPy's BLAS."""
    results = []
    for threads in THREADS:
        with threadpool_limits(threads, user_api="blas"):
            results.append(work())
    return verdict(results)


def verdict(results: Iterable[np.ndarray]) -> str:
    """A verdict on results, the first of which is that of one thread."""
    first, *others = results
    other = [n for n, each in zip(THREADS[1:], others, strict=True) if first.tobytes() != each.tobytes()]
    return f"differs on {', '.join(map(str, other))} threads" if other else "same"


def of_torch() -> dict[str, Callable[[], np.ndarray]]:
    """Operations that experts use, forward and backward."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    rows, pictures, few = drawn(800, 1800), drawn(750, 16, 30, 60), drawn(12, 16, 30, 60)
    kernel, left, right = drawn(16, 16, 3, 3), drawn(2000, 64), drawn(64, 200)
    forward = {
        "sum of all": rows.sum,
        "sum over one axis": lambda: torch.cat([rows.sum(0), rows.sum(1)]),
        "elementwise": lambda: torch.special.log_ndtr(rows.exp().add(1).log().atan()),
        "softmax, logsumexp": lambda: torch.softmax(rows, -1) + rows.logsumexp(-1, keepdim=True),
        "topk, sort, median, quantile": lambda: torch.cat(
            [rows.topk(9, -1).values.flatten(), rows.median(0).values, rows[:50].flatten().quantile(0.98)[None]]
        ),
        "cumsum": lambda: rows.cumsum(0),
        "index_add": lambda: torch.zeros(1000).index_add(0, (rows.abs() * 100).long().flatten() % 1000, rows.flatten()),
        "conv2d": lambda: functional.conv2d(pictures, kernel, padding=1),
        "group norm, pools, interpolation": lambda: functional.interpolate(
            functional.avg_pool2d(functional.group_norm(pictures, 4), 5, 1, 2), scale_factor=2.0, mode="bilinear"
        ),
        "matrix product": lambda: left @ right,
        "einsum": lambda: torch.einsum("tnc,tnd->cd", *2 * (rows.reshape(800, 60, 30),)),
    }
    backward = {
        "gradient of a scalar": (lambda s: (s * rows).exp().clamp(max=9).mean(), torch.tensor(0.1)),
        "gradient of a row": (lambda s: torch.softmax(s * rows, -1).square().mean(), torch.full((1800,), 0.1)),
        "gradient of conv2d": (lambda k: functional.conv2d(few, k, padding=1).square().mean(), kernel),
        "gradient of a linear layer": (lambda k: (left @ k).tanh().mean(), right),
    }
    return {name: lambda work=work: work().numpy() for name, work in forward.items()} | {
        name: lambda loss=loss, leaf=leaf: gradient(loss, leaf) for name, (loss, leaf) in backward.items()
    }


def gradient(loss: Callable[[Tensor], Tensor], leaf: Tensor) -> np.ndarray:
    """Of a loss by one tensor."""
    leaf = leaf.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0].numpy()


def of_opencv() -> dict[str, Callable[[], np.ndarray]]:
    """What features use; ``magnitude`` is what :func:`metavad.features.flow.feature.speed_of` mends."""
    generator = np.random.default_rng(0)
    before = cv2.GaussianBlur(generator.integers(0, 256, (240, 480), np.uint8), (0, 0), 3)
    after, large = np.roll(before, (2, 3), (0, 1)), generator.integers(0, 256, (1080, 1920), np.uint8)
    motion, kept = generator.normal(size=(240, 480, 3)).astype(np.float32), []
    right, down, _ = cv2.split(motion)

    def magnitude() -> np.ndarray:
        kept.append(cv2.magnitude(right, down))  # each has a place of its own in memory
        return kept[-1]

    return {
        "DIS flow, medium": lambda: cv2.DISOpticalFlow.create(1 + 1).calc(before, after, None),
        "DIS flow, fast": lambda: cv2.DISOpticalFlow.create(1).calc(before, after, None),
        "Farneback flow": lambda: cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 4, 15, 3, 5, 1.2, 0),
        "resize by area": lambda: cv2.resize(large, (427, 240), interpolation=cv2.INTER_AREA),
        "resize, linear": lambda: cv2.resize(motion, (60, 30)),
        "resize, cubic": lambda: cv2.resize(before, (960, 480), interpolation=cv2.INTER_CUBIC),
        "blur": lambda: cv2.blur(motion, (24, 24)),
        "median, morphology": lambda: cv2.morphologyEx(
            cv2.medianBlur(before, 5), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)
        ),
        "JPEG": lambda: cv2.imencode(".jpg", large)[1],
        "magnitude (by place in memory, not by threads)": magnitude,
    }


def of_numpy() -> dict[str, Callable[[], np.ndarray]]:
    """What goes through BLAS and LAPACK."""
    generator = np.random.default_rng(0)
    tall, square = generator.normal(size=(1200, 4)), generator.normal(size=(800, 900))
    return {
        "least squares (steadying)": lambda: np.linalg.lstsq(tall, tall[:, 0], rcond=None)[0],
        "matrix product": lambda: square @ square.T,
        "matrix by vector (looks)": lambda: square[:64] @ square[0],
        "norm of 10,000 numbers": lambda: np.array(np.linalg.norm(square.flat[:10_000])),
        "norm of 720,000 numbers (nowhere used)": lambda: np.array(np.linalg.norm(square)),
    }


def decoding() -> str:
    """H.264 with B-frames, decoded and made grey on several threads."""
    generator, file = np.random.default_rng(0), BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(40):
            picture = cv2.GaussianBlur(generator.integers(0, 256, (240, 320), np.uint8), (0, 0), 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    return verdict([decoded(file.getvalue(), threads) for threads in THREADS])


def decoded(content: bytes, threads: int) -> np.ndarray:
    """All pictures, grey (T, H, W)."""
    with av.open(BytesIO(content)) as container:
        container.streams.video[0].thread_type = "AUTO"
        container.streams.video[0].thread_count = threads
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


if __name__ == "__main__":
    main()
