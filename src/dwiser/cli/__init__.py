"""The command line: ``dwiser``. One small file a command; exit codes 0, 1, 2, 130."""

import os
import signal
import sys
import traceback
import warnings
from io import TextIOWrapper
from typing import Any, TextIO

from cyclopts import App, CycloptsError

from dwiser import __version__
from dwiser.errors import Code, DwiserError, DwiserWarning
from dwiser.machine import one_heap

INTERRUPTED = 130
USAGE = 2
HYPHEN = "./-"  # the same path as -, which the parser would take for an option
COMMANDS = {
    "denoise": "Denoise a scan; units, geometry and volume order stay the input's.",
    "apply": "Denoise a scan with weights learned on another one of the same protocol.",
    "info": "Say what a scan is, how noisy, and what denoising would do and take.",
    "methods": "List the methods; with a NAME, its fields, defaults and their sources.",
    "simulate": "Make a scan whose truth is known, with noise of known σ.",
    "noise-map": "Scale and resample a σ map as later steps did the series.",
    "evaluate": "Measure a denoised scan: against the truth, and without one; with a verdict.",
    "compare": "Run several methods on one scan, side by side.",
    "bids": "Denoise every diffusion series of a BIDS dataset, one after another.",
    "cohort": "The same, many scans at once: on this machine, on Slurm, on a Dask cluster.",
    "demo": "Denoise the packaged real scan and draw it.",
}


def build_app() -> App:
    """The command tree; each command's module is imported only when it is called."""
    app = App(
        name="dwiser",
        version=__version__,
        help="Denoise diffusion MRI scans, learning from the scan itself; in the scanner's units.",
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, line in COMMANDS.items():
        module = name.replace("-", "_")
        app.command(f"dwiser.cli.{module}:{module}", name=name, help=line)
    return app


def main(argv: list[str] | None = None) -> int:
    """Run one command; every error is one sentence on stderr. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    one_heap()
    _usable_streams()
    words = [HYPHEN if word == "-" else word for word in words if word != "--debug"]
    warnings.showwarning = _show_warning
    for name in ("SIGTERM", "SIGHUP"):  # a batch system's end, a closed terminal
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        code = build_app()(words or ["--help"], exit_on_error=False, print_error=False)
        sys.stdout.flush()  # here, where a full disk and a closed pipe have their sentence
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        from dwiser.cli.usage import usage_sentence

        return _fail(usage_sentence(error, COMMANDS), USAGE, debug)
    except DwiserError as error:
        return _fail(str(error), error.exit_code, debug, error.code)
    except KeyboardInterrupt as error:
        sentence = str(error) or "Interrupted: nothing was written."
        return _fail(sentence, INTERRUPTED, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("There is not enough memory: use a machine with more, or a crop.", 1, debug)
    except Exception as error:
        from dwiser.io.outputs import NO_ROOM

        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _fail("There is no room left to print or write on: make some.", 1, debug)
        message = f"Something inside dwiser broke ({type(error).__name__}: {error})"
        return _fail(f"{_one_line(message)}: run again with --debug and report it.", 1, debug)


def _usable_streams() -> None:
    """Streams that a workflow engine closed swallow what is printed; none fails for its encoding.

    Letters that a terminal cannot show appear as escapes, as Python's stderr does it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(sentence: str, exit_code: int, debug: bool, code: Code | None = None) -> int:
    if debug:
        traceback.print_exc()
        if code is not None:
            print(f"dwiser: error code {code}", file=sys.stderr)
    print(f"dwiser: {sentence}", file=sys.stderr)
    return exit_code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> Any:
    """dwiser's own warnings, one line each; other libraries' are for developers."""
    if issubclass(category, DwiserWarning):
        print(f"dwiser: warning: {message}", file=file or sys.stderr)
