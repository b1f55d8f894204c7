"""The corridor: load → denoise → save → report. What a command does, without the command line."""

from dwiser.run.checkpoint import checkpoint_path
from dwiser.run.denoising import denoise, denoise_file, save
from dwiser.run.noise import noise_file
from dwiser.run.request import Request
from dwiser.run.series import denoise_series
from dwiser.run.survey import Survey, survey

__all__ = [
    "Request",
    "Survey",
    "checkpoint_path",
    "denoise",
    "denoise_file",
    "denoise_series",
    "noise_file",
    "save",
    "survey",
]
