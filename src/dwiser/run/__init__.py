"""The corridor: load → denoise → save → report. What a command does, without the command line."""

from typing import TYPE_CHECKING

from dwiser.lazy import importer

if TYPE_CHECKING:
    from dwiser.run.checkpoint import checkpoint_path
    from dwiser.run.denoising import denoise, denoise_file, save
    from dwiser.run.noise import noise_file
    from dwiser.run.request import Request
    from dwiser.run.series import denoise_series

__all__ = [
    "Request",
    "checkpoint_path",
    "denoise",
    "denoise_file",
    "denoise_series",
    "noise_file",
    "save",
]

__getattr__ = importer(  # what asks for one of them waits for no other's imports
    __name__,
    {
        "Request": "dwiser.run.request",
        "checkpoint_path": "dwiser.run.checkpoint",
        **dict.fromkeys(("denoise", "denoise_file", "save"), "dwiser.run.denoising"),
        "denoise_series": "dwiser.run.series",
        "noise_file": "dwiser.run.noise",
    },
)
