"""The corridor: load → denoise → save → report. What a command does, without the command line."""

from dwiser.run.corridor import Request, denoise, denoise_file, save
from dwiser.run.demo import demonstrate
from dwiser.run.series import denoise_series
from dwiser.run.survey import Survey, survey

__all__ = [
    "Request",
    "Survey",
    "demonstrate",
    "denoise",
    "denoise_file",
    "denoise_series",
    "save",
    "survey",
]
