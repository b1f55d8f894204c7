"""What waits for a GPU: operations whose result the host must know before it goes on."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

KNOWN_TO_THE_HOST = {  # a value, or a size that depends on values
    "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal",
    "aten::repeat_interleave.Tensor", "aten::unique2", "aten::linalg_inv_ex", "aten::lift_fresh",
}  # fmt: skip
BY_MASK = {"aten::index", "aten::index_put_", "aten::_index_put_impl_"}


class Waits(TorchDispatchMode):
    """Notes the names of such operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        indices = [a for a in tree_leaves(args[1]) if a is not None] if name in BY_MASK else []
        masked = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
        if masked or {name, f"{name}.{func._overloadname}"} & KNOWN_TO_THE_HOST:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def waits_of(run: Callable[[], object]) -> list[str]:
    """The operations in it that would wait for a GPU, or copy numbers to it."""
    with Waits() as seen:
        run()
    return seen.names
