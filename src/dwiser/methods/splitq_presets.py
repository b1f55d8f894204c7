"""splitq's numbers, each with its source."""

from dwiser.methods.options import Presets, Sourced

OURS = "ours, from tuning phantoms and a refitted scan: docs/explanation/splitq.md"

LAPTOP: dict[str, Sourced] = {
    "folds": Sourced(4, f"{OURS}: three to eight differ by less than 1 %"),
    "learned_on": Sourced(100_000, f"{OURS}: a third of a brain at 2 mm teaches as much"),
    "floor": Sourced("removed", f"{OURS}: wins on water at the floor, and in every phantom"),
}
PRESETS: Presets = {
    "laptop": LAPTOP,
    "smoke": LAPTOP
    | {
        "folds": Sourced(2, "seconds, for tests"),
        "learned_on": Sourced(5_000, "seconds, for tests"),
    },
}
