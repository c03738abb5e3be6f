"""How fast images are measured from their features, against torch-fidelity, in one process.

Usage: python tests/bench/image_metrics.py [--images N] [--rounds N]

Features of 2,048 dimensions and logits of 1,008 classes are made from a seed, as many for generated images as for real
ones. In each round both sides take turns on the same features. Seconds are those of the clock, summed over the rounds;
`ratio` is our time divided by torch-fidelity's, the median of the rounds. The promise is about all measures together:
at most 0.6, with numbers that are equal to 1e-4. Ours include density and coverage, which torch-fidelity does not have;
they share one pass over the pairs with the kernel distance, so that the two stand on one line.

Then a process of its own computes precision, recall, density and coverage: how much memory that adds is the other
promise. Exit code 1 if a promise is broken.
"""

import argparse
import gc
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.inception_scores import inception_score
from aigc.metrics.image.kernel import KernelSums
from aigc.metrics.image.manifold import Manifold, precision_recall_density_coverage
from aigc.metrics.image.moments import mean_and_covariance, sums
from aigc.metrics.image.pairs import visit_pairs

RATIO = 0.6
"""Promised for all measures together."""
TOLERANCE = 1e-4
GIGABYTES = 1.0
"""Promised for precision, recall, density and coverage of 10,000 against 10,000 images."""
NEIGHBOUR = 3
DIMENSIONS, CLASSES, RANK = 2048, 1008, 64
Numbers = dict[str, float]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        return 0 if measure_memory(options.images) else 1
    fast = compare_speed(options.images, options.rounds)
    command = [sys.executable, __file__, "--memory", "--images", str(options.images)]
    small = subprocess.run(command, check=False).returncode == 0
    for what, kept in (("speed or equality", fast), ("memory", small)):
        if not kept:
            print(f"broken: {what}")
    return 0 if fast and small else 1


def compare_speed(images: int, rounds: int) -> bool:
    """Print a line for each measure, and one for all; whether the promise is kept."""
    fake, real = features(images, 1), features(images, 2)
    logits = 3 * torch.randn(images, CLASSES, generator=torch.Generator().manual_seed(3))
    few = slice(0, 1000)
    sides = (theirs(fake, real, logits), ours(fake, real, logits))
    for warm_up in (theirs(fake[few], real[few], logits[few]), ours(fake[few], real[few], logits[few])):
        for measure in warm_up.values():
            measure()
    times: dict[str, list[list[float]]] = {name: [] for name in sides[0]}
    worst = 0.0
    for number in range(rounds):
        for name in sides[0]:
            row, found = [0.0, 0.0], [Numbers(), Numbers()]
            for place in (0, 1) if number % 2 else (1, 0):
                row[place], found[place] = timed(sides[place][name])
            times[name].append(row)
            for score, value in found[0].items():
                difference = abs(found[1][score] - value) / abs(value)
                worst = max(worst, difference)
                if number == 0:
                    print(f"  {score:<12}{value:>18.10g}{found[1][score]:>18.10g}  differ by {difference:.1g}")
    times["all"] = [[sum(sides) for sides in zip(*rows, strict=True)] for rows in zip(*times.values(), strict=True)]
    print(f"{'':<32}{'torch-fidelity':>15}{'ours':>8}{'ratio':>8}{'promise':>9}")
    for name, rows in times.items():
        library, mine = (sum(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(row[1] / row[0] for row in rows)
        promise = f"{RATIO:>9.2f}" if name == "all" else f"{'-':>9}"
        print(f"{name:<32}{library:>15.2f}{mine:>8.2f}{ratio:>8.2f}{promise}", flush=True)
    if worst > TOLERANCE:
        print(f"numbers differ by {worst:.2g}")
    return ratio <= RATIO and worst <= TOLERANCE


def theirs(fake: Tensor, real: Tensor, logits: Tensor) -> dict[str, Callable[[], Numbers]]:
    """torch-fidelity's measures."""
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    def fid() -> Numbers:
        both = [metric_fid.fid_features_to_statistics(one) for one in (fake, real)]
        return {"fid": metric_fid.fid_statistics_to_metric(*both, False)["frechet_inception_distance"]}

    def score() -> Numbers:
        found = metric_isc.isc_features_to_metric(logits)
        return {"is": found["inception_score_mean"], "is_std": found["inception_score_std"]}

    def pairs() -> Numbers:
        kid = metric_kid.kid_features_to_metric(fake, real, kid_subset_size=min(1000, len(fake)), verbose=False)
        found = metric_prc.prc_features_to_metric(fake, real, prc_neighborhood=NEIGHBOUR, verbose=False)
        mean, deviation = kid["kernel_inception_distance_mean"], kid["kernel_inception_distance_std"]
        return {"kid": mean, "kid_std": deviation, "precision": found["precision"], "recall": found["recall"]}

    return {"FID": fid, "IS": score, "KID, precision and recall": pairs}


def ours(fake: Tensor, real: Tensor, logits: Tensor) -> dict[str, Callable[[], Numbers]]:
    """The same from this project."""

    def fid() -> Numbers:
        return {"fid": frechet_distance(*mean_and_covariance(*sums(fake)), *mean_and_covariance(*sums(real)))}

    def score() -> Numbers:
        mean, deviation = inception_score(logits, seed=2020)
        return {"is": mean, "is_std": deviation}

    def pairs() -> Numbers:
        kernel, manifold = KernelSums(), Manifold(NEIGHBOUR)
        visit_pairs(fake, real, [kernel, manifold])
        mean, deviation = kernel.result()
        return {"kid": mean, "kid_std": deviation, **manifold.result()._asdict()}

    return {"FID": fid, "IS": score, "KID, precision and recall": pairs}


def timed(measure: Callable[[], Numbers]) -> tuple[float, Numbers]:
    """Seconds and the numbers."""
    gc.collect()
    began = time.perf_counter()
    found = measure()
    return time.perf_counter() - began, found


def features(images: int, seed: int) -> Tensor:
    """Features such as a network's last layer gives: none negative, and near a space of few dimensions."""
    shared, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
    directions = torch.randn(RANK, DIMENSIONS, generator=shared) / RANK**0.5
    hidden = torch.randn(images, RANK, generator=own) * (1 + 0.1 * (seed % 2))
    return (hidden @ directions + 0.1 * torch.randn(images, DIMENSIONS, generator=own) + 0.05 * (seed % 2)).relu_()


def measure_memory(images: int) -> bool:
    """Print what precision, recall, density and coverage add to the memory; whether the promise is kept."""
    fake, real = features(images, 1), features(images, 2)
    before = resident("VmRSS")
    precision_recall_density_coverage(real, fake, NEIGHBOUR)
    added = max(resident("VmHWM") - before, 0.0)
    print(f"memory that precision, recall, density and coverage add: {added:.2f} GB, promise {GIGABYTES:.2f}")
    return added <= GIGABYTES


def resident(field: str) -> float:
    """Memory that this process has (VmRSS) or had at most (VmHWM), in GB."""
    status = Path("/proc/self/status")
    if not status.exists():  # another system than Linux: only the most is known
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    return int(re.findall(rf"{field}:\s+(\d+) kB", status.read_text())[0]) * 1024 / 1e9


if __name__ == "__main__":
    sys.exit(main())
