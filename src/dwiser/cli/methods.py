"""``dwiser methods``."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dwiser.methods.base import Denoiser


def methods(
    name: Annotated[str | None, Parameter(help="A method, for its fields and sources.")] = None, /
) -> int:
    """List the methods; with a NAME, its fields, defaults and their sources."""
    from dwiser.methods.registry import METHODS, find, method_class

    console = Console()
    if name is None:
        table = Table("method", "what it does", "needs", box=None, pad_edge=False)
        for known, entry in METHODS.items():
            table.add_row(known, Text(entry.line), Text(entry.needs_here))
        console.print(table)
        return 0
    entry, cls = find(name), method_class(name)
    about = f"{name}: {entry.line}\n{entry.citation}\nneeds {entry.needs_here}\n"
    console.print(about, highlight=False, markup=False)
    _fields(console, cls)
    return 0


def _fields(console: Console, cls: "type[Denoiser]") -> None:
    from dwiser.methods.options import describe

    presets = cls().capabilities.presets
    for row in describe(cls, presets):
        console.print(f"[bold]{row['field']}[/] = {row['default']}  {row['help']}", highlight=False)
        for preset, value in row["presets"].items():
            text = f"    {preset}: {value}  ({row['sources'][preset]})"
            console.print(text, highlight=False, markup=False, style="dim")
