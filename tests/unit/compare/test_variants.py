"""A variant says what was trained for its row."""

import pytest

from dwiser.compare.variants import parse_variants


@pytest.mark.parametrize(
    ("label", "trained"),
    [
        ("difusion:preset=paper", "paper, network=unet, pairing=adjacent, iterations=100000"),
        (
            "difusion:fusion=neighbour",
            "laptop, network=compact, pairing=predicted, iterations=3000",
        ),
        ("ddm2:minutes=2", "laptop, network=compact, minutes=2.0"),
        ("mppca", None),
    ],
)
def test_a_row_says_what_was_trained(label: str, trained: str | None) -> None:
    (variant,) = parse_variants(label)
    assert variant.trained == trained
