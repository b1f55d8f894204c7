"""Numbers that a network is told beside the noise level, added to the level's embedding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WIDENING = 4  # the hidden layer, as the level's embedding has it


class ConditionEmbedding(nn.Module):
    """C numbers → a vector to add to the level's; zero at the start.

    A network that is told of them so begins as the same network untold.
    """

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.widen = nn.Linear(conditions, WIDENING * width)
        self.narrow = nn.Linear(WIDENING * width, width)
        self.silence()

    def silence(self) -> None:
        """Set the last layer to zero."""
        for parameter in self.narrow.parameters():
            nn.init.zeros_(parameter)

    def forward(self, conditions: Float[Tensor, "b c"]) -> Float[Tensor, "b e"]:
        return self.narrow(F.silu(self.widen(conditions)))


def split(
    level: Float[Tensor, "b *k"], conditions: int
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b c"] | None]:
    """The level and the conditions of a batch, which come as columns of one tensor.

    Raises
    ------
    ValueError
        For another number of columns than the network was built for.
    """
    if level.shape[1:] != (torch.Size([1 + conditions]) if conditions else torch.Size()):
        raise ValueError(f"the network takes the level and {conditions} conditions")
    return (level[:, 0], level[:, 1:]) if conditions else (level, None)
