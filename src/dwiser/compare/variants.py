"""Lists of methods as text: ``difusion:fusion=neighbour,patch2self:version=1``."""

from dataclasses import dataclass, field

from dwiser.defaults import DEFAULT_PRESET
from dwiser.errors import Code, InputError
from dwiser.methods.registry import build, settings_of

LEARNED = "network", "pairing", "iterations", "minutes"  # fields that say what was trained


@dataclass(frozen=True)
class Variant:
    """A method with its settings; ``label`` is the text it was asked for with."""

    label: str
    method: str
    preset: str = DEFAULT_PRESET
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The label as a part of a file's name."""
        return "".join(c if c.isalnum() or c in "-." else "_" for c in self.label)

    @property
    def has_seed(self) -> bool:
        """Whether the seed matters, with these settings."""
        return build(self.method, self.preset, self.settings).capabilities.has_seed

    @property
    def trained(self) -> str | None:
        """The preset, network, pair and training of a method that trains; None of another."""
        method = build(self.method, self.preset, self.settings)
        values = {name: value for name, value in vars(method).items() if name in LEARNED}
        if not {"iterations", "minutes"} <= values.keys():
            return None
        values.pop("minutes" if values["minutes"] is None else "iterations")
        words = (f"{name}={values[name]}" for name in LEARNED if name in values)
        return ", ".join([self.preset, *words])


def parse_variants(text: str, preset: str = DEFAULT_PRESET) -> list[Variant]:
    """The variants of a comma-separated list; each is checked before any work is done.

    ``name[:field=value…]``; ``preset=`` is taken like a field.

    Raises
    ------
    InputError
        For an empty list, a label that comes twice, or whatever ``registry.build`` refuses.
    """
    labels = [part.strip() for part in text.split(",") if part.strip()]
    if not labels:
        raise InputError(
            "--methods is empty: name at least one, such as mppca,difusion.",
            code=Code.ARGUMENT_VALUE,
        )
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(
                f"--methods names '{label}' twice: name each variant once.",
                code=Code.ARGUMENT_CONFLICT,
            )
    return [_variant(label, preset) for label in labels]


def _variant(label: str, preset: str) -> Variant:
    name, *pairs = label.split(":")
    settings = settings_of(pairs)
    chosen = settings.pop("preset", preset)
    build(name, chosen, settings)
    return Variant(label, name, chosen, settings)
