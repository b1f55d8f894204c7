"""The parts that are compiled; everything else about the package stands in pyproject.toml."""

import sys

from setuptools import Extension, setup

# No error numbers and no traps of the mathematical functions, which nobody reads: or roots are not
# computed several at once. Places do not wrap around, as Python's own flags would have it: that
# alone takes three times as long. Sums keep their order.
UNIX = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-wrapv"]

setup(
    ext_modules=[
        Extension(
            f"dwiser.compiled.{name}",
            [f"src/dwiser/compiled/{name}.c"],
            depends=[f"src/dwiser/compiled/{part}.h" for part in ("buffers", "vectors")],
            extra_compile_args=["/O2"] if sys.platform == "win32" else UNIX,
            py_limited_api=True,  # one wheel for every Python from 3.11 on
            optional=True,  # without a compiler NumPy does the same work, in more time
        )
        for name in ("patches", "pointwise", "tensors")
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
