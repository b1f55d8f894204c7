"""A pretended accelerator: a device of its own, whose tensors are computed on the CPU.

What holds on a GPU holds here: an operation on tensors of two devices is refused, and so is a
tensor that becomes NumPy's without being copied over first. What a GPU computes differently
(bf16, the order of sums) does not show.
"""

from typing import Any, ClassVar

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

NAME = "elsewhere"
COPIES = ("aten::copy_", "aten::_to_copy")  # they go from one device to the other
INDEXING = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")  # by indices from the CPU


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


class Elsewhere(torch.Tensor):
    """A tensor on the pretended device; ``raw`` holds its values."""

    raw: torch.Tensor
    __torch_function__: ClassVar[Any] = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> "Elsewhere":
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, raw.size(), strides=raw.stride(), storage_offset=raw.storage_offset(),
            dtype=raw.dtype, layout=raw.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        wrapper.raw = raw
        return wrapper

    def __repr__(self, **_: Any) -> str:
        return f"{NAME}: {self.raw}"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = func._schema.name
    held = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Elsewhere)]
    checked = (args[0], args[2:]) if name in INDEXING else (args, kwargs)
    tensors = [a for a in tree_leaves(checked) if isinstance(a, torch.Tensor) and a.dim() > 0]
    if held and name not in COPIES and not all(isinstance(a, Elsewhere) for a in tensors):
        raise RuntimeError(f"{name}: tensors of two devices")
    result = func(*tree_map(_raw, args), **tree_map(_raw, kwargs))
    target = kwargs.get("device")
    if name == "aten::copy_":
        return args[0]
    if (not held and target is None) or (target is not None and torch.device(target).type != NAME):
        return result
    known = {id(a.raw): a for a in held}  # what was changed in place stays itself
    return tree_map(lambda a: _wrapped(a, known), result)


def _raw(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.raw if isinstance(value, Elsewhere) else value


def _wrapped(value: Any, known: dict[int, "Elsewhere"]) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return known[id(value)] if id(value) in known else Elsewhere(value)


_setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
_all, _aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
_all.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
for _overload in ("arange", "arange.start", "arange.start_step"):  # else an empty one is resized

    def _arange(*args: Any, **kwargs: Any) -> Elsewhere:
        return Elsewhere(torch.arange(*args, **kwargs | {"device": "cpu", "pin_memory": False}))

    _aten.impl(_overload, _arange, "PrivateUse1")
