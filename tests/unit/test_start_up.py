"""What is imported when: heavy libraries wait for the work that uses them."""

import json
import subprocess
import sys
from pathlib import Path

from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.simulation import Simulation

HEAVY = {"torch", "dipy.reconst", "scipy.stats", "sklearn", "skimage.metrics", "matplotlib"}
HEAVY |= {"rich.console", "dask", "jinja2", "joblib", "pytest"}
LIGHT = {"numpy", "scipy", "nibabel", "jaxtyping"}  # a fifth of a second each

# One process; what it has imported by the end of each stage.
STAGES = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
stages = {}
def note(name):
    stages[name] = sorted(sys.modules)
import dwiser
dwiser.InputError
note("dwiser")
import dwiser.cli.denoise, dwiser.cli.info, dwiser.cli.evaluate, dwiser.cli.apply
note("options")
from dwiser.methods.registry import build
for name in ("splitq", "subspace", "gaussian", "identity"):
    build(name)
note("methods without training")
import dwiser.api, dwiser.compare.evaluation, dwiser.run.denoising, dwiser.run.series
note("what runs them")
with redirect_stdout(StringIO()):
    assert dwiser.cli.main(["info", sys.argv[1], "--threads", "1"]) == 0
note("info")
dwiser.denoise(dwiser.load(sys.argv[1]), threads=1)
note("splitq")
build("difusion")
note("difusion")
print(json.dumps(stages))
"""


def test_heavy_libraries_wait_for_what_uses_them(tiny: Simulation, tmp_path: Path) -> None:
    save_volume(tiny.scan.data, tmp_path / "dwi.nii.gz", like=tiny.scan)
    write_bvals(tiny.scan.gradients, tmp_path / "dwi.bval")
    write_bvecs(tiny.scan.gradients, tmp_path / "dwi.bvec")
    command = [sys.executable, "-W", "ignore", "-c", STAGES, str(tmp_path / "dwi.nii.gz")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    stages = {name: set(modules) for name, modules in json.loads(ran.stdout).items()}
    for stage in ("dwiser", "options"):  # the first progress line comes after these
        assert not stages[stage] & (LIGHT | HEAVY), stage
    for stage in ("methods without training", "what runs them", "info"):
        assert not stages[stage] & HEAVY, stage
    assert not stages["splitq"] & HEAVY
    assert "torch" in stages["difusion"]  # or the names above say nothing
