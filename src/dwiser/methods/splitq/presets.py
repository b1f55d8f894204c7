"""splitq's numbers, each with its source."""

from dwiser.methods.options import Presets, Sourced

OURS = "ours, from tuning phantoms and a refitted scan: docs/explanation/splitq.md"

LAPTOP: dict[str, Sourced] = {
    "folds": Sourced(
        6, f"{OURS}: three err 8 % more at b=2000, eight 1 % less in a fifth more time"
    ),
    "learned_on": Sourced(30_000, f"{OURS}: more voxels gain nothing"),
    "fewest_shared": Sourced(28, f"{OURS}: with fewer, local PCA of all volumes errs less"),
    "floor": Sourced("removed", f"{OURS}: wins on water at the floor, and in every phantom"),
}
PRESETS: Presets = {
    "laptop": LAPTOP,
    "smoke": LAPTOP
    | {
        "folds": Sourced(2, "seconds, for tests"),
        "learned_on": Sourced(5_000, "seconds, for tests"),
        "fewest_shared": Sourced(10, "tests have few volumes, and want them learned across"),
    },
}
