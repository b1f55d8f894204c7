"""``dwiser denoise`` in the engines of this field's pipelines.

The command stays what is called; no engine is a dependency, and none is imported but by who uses
it. All of them take their options from the command's own (`dwiser.pipelines.options`):
`dwiser.pipelines.nipype` and `dwiser.pipelines.pydra` when they are imported, the files for
Boutiques, Snakemake and Nextflow in `FOLDER` when ``python -m scripts.pipelines`` writes them.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
