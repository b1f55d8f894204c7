"""Write the files for Boutiques, Snakemake and Nextflow from the options of ``dwiser denoise``.

``python -m scripts.pipelines [--check]``: ``--check`` writes nothing and ends with 1 if one is
stale. The interfaces for nipype and pydra read the options themselves, when they are imported.
"""

import json
import sys
from typing import Any

from dwiser import __version__
from dwiser.pipelines import FOLDER
from dwiser.pipelines.options import TABLES, Option, denoise_options
from scripts.pages import write_or_check

MADE = "made by scripts/pipelines.py: do not edit"
LINE = "Denoise diffusion MRI, learning from the noisy scan itself"
ENDINGS = [".nii.gz", ".nii", ".mif.gz", ".mif", ".mih", ".nhdr", ".nrrd"]
OWN_ENDINGS = {"report": ".html", "save_weights": ".safetensors"}
FROM_ENGINE = {  # what Nextflow itself knows
    "threads": "task.cpus",
    "memory": 'task.memory ? "${task.memory.toMega()}M" : null',
}


def boutiques() -> str:
    """The descriptor for ``bosh``."""
    options = denoise_options()
    image, out = _text("in_file", "IN", "The series, a 4-D image."), _text("out_file", "OUT", OUT)
    image["type"] = "File"
    keys = " ".join(f"[{option.name.upper()}]" for option in options)
    descriptor = {
        "name": "dwiser denoise",
        "tool-version": __version__,
        "author": "The dwiser developers",
        "description": f"{LINE}. {MADE.capitalize()}.",
        "schema-version": "0.5",
        "command-line": f"dwiser denoise [IN] [OUT] {keys}",
        "inputs": [image, out, *map(_input, options)],
        "output-files": [
            _output("denoised", "[OUT]", "The denoised series."),
            *(_beside(end) for end in TABLES),
            *(
                _output(f"{o.name}_file", f"[{o.name.upper()}]", o.help, optional=True)
                for o in options
                if o.kind == "output"
            ),
        ],
    }
    return json.dumps(descriptor, indent=2, ensure_ascii=False) + "\n"


OUT = "The name of the denoised series; its .bval, .bvec and .json come with it."


def _text(name: str, key: str, words: str) -> dict[str, Any]:
    return {
        "id": name, "name": name, "type": "String", "value-key": f"[{key}]", "description": words,
    }  # fmt: skip


def _input(option: Option) -> dict[str, Any]:
    kinds = {"input": "File", "flag": "Flag", "integer": "Number", "number": "Number"}
    entry = _text(option.name, option.name.upper(), option.help)
    entry |= {"optional": True, "command-line-flag": option.flag}
    entry["type"] = kinds.get(option.kind, "String")
    if option.kind == "integer":
        entry["integer"] = True
    if option.kind == "texts":
        entry |= {"list": True, "list-separator": f" {option.flag} "}
    if option.choices:
        entry["value-choices"] = list(option.choices)
    return entry


def _output(name: str, path: str, words: str, *, optional: bool = False) -> dict[str, Any]:
    return {
        "id": name, "name": name, "path-template": path, "description": words,
        "optional": optional,
    }  # fmt: skip


def _beside(end: str) -> dict[str, Any]:
    entry = _output(f"denoised_{end[1:]}", f"[OUT]{end}", f"Its {end} file.", optional=True)
    return entry | {"path-template-stripped-extensions": ENDINGS}


def snakemake() -> str:
    """The rule for snakebids."""
    rows = "\n".join(
        f'    "{option.name}": ("{option.kind}", "{option.flag}"),' for option in denoise_options()
    )
    return SNAKEFILE.replace("@MADE@", MADE).replace("@OPTIONS@", rows)


SNAKEFILE = '''# @MADE@
# dwiser for every diffusion series of a BIDS dataset; dwiser must be on the PATH of the jobs.
#   snakemake -s Snakefile --cores 2 --config bids_dir=study out=study/derivatives/dwiser
# dwiser's options stand under "dwiser" in a configuration file (--configfile), by these names:
#   dwiser: {method: mppca, settings: [floor=kept], save_noise: true}
from shlex import quote

from snakebids import bids, generate_inputs, set_bids_spec

set_bids_spec("v0_11_0")

OPTIONS = {  # name: (kind, flag); an "output" is a truth value here, and its file has its name
@OPTIONS@
}
PYBIDS = {"dwi": {"filters": {"suffix": "dwi", "extension": ".nii.gz", "datatype": "dwi"}}}
PYBIDS["dwi"]["wildcards"] = ["subject", "session", "acquisition", "direction", "run"]

chosen = config.get("dwiser") or {}
for name in chosen:
    if name not in OPTIONS:
        raise ValueError(f"dwiser has no option '{name}': choose from {', '.join(OPTIONS)}.")

series = generate_inputs(config["bids_dir"], PYBIDS)["dwi"]
head = bids(config["out"], datatype="dwi", desc="denoised", **series.wildcards)
OUT = f"{head}_dwi"
SAVED = {name: f"{head}_{name.removeprefix('save_')}" for name in OPTIONS if chosen.get(name)
         and OPTIONS[name][0] == "output"}
ENDINGS = {"report": ".html", "save_weights": ".safetensors"}
SAVED = {name: path + ENDINGS.get(name, ".nii.gz") for name, path in SAVED.items()}


def words(name, value):
    """The words of one option on the command line."""
    kind, flag = OPTIONS[name]
    if kind == "output" or value is None or value is False:
        return []
    if kind == "flag":
        return [flag]
    several = value if kind == "texts" else [value]
    return [word for one in several for word in (flag, quote(str(one)))]


rule all:
    default_target: True
    input:
        series.expand(f"{OUT}.nii.gz"),


rule dwiser_denoise:
    input:
        dwi=series.path,
        bval=series.path.removesuffix(".nii.gz") + ".bval",
        bvec=series.path.removesuffix(".nii.gz") + ".bvec",
    output:
        dwi=f"{OUT}.nii.gz",
        bval=f"{OUT}.bval",
        bvec=f"{OUT}.bvec",
        json=f"{OUT}.json",
        **SAVED,
    params:
        options=" ".join(word for name, value in chosen.items() for word in words(name, value)),
        saved=lambda wildcards, output: " ".join(
            f"{OPTIONS[name][1]} {quote(str(output[name]))}" for name in SAVED
        ),
        threads=lambda wildcards, threads: "" if "threads" in chosen else f"--threads {threads}",
    threads: 1
    shell:
        "dwiser denoise {input.dwi:q} {output.dwi:q} --bval {input.bval:q} --bvec {input.bvec:q}"
        " --force {params.threads} {params.options} {params.saved}"
'''


def nextflow() -> str:
    """The module, in the manner of nf-neuro's."""
    options = denoise_options()
    files = [o for o in options if o.kind == "input"]
    saved = [o for o in options if o.kind == "output"]
    inputs = ", ".join(f"path({o.name})" for o in files)
    emits = "\n".join(
        f'    tuple val(meta), path("*__{o.name}{_ending(o)}"), emit: {o.name}, optional: true'
        for o in saved
    )
    lines = "\n".join(f"    {line}" for o in options for line in [_nextflow_line(o)])
    text = MODULE.replace("@MADE@", MADE).replace("@INPUTS@", inputs)
    return text.replace("@EMITS@", emits).replace("@OPTIONS@", lines)


def _ending(option: Option) -> str:
    return OWN_ENDINGS.get(option.name, ".nii.gz")


def _nextflow_line(option: Option) -> str:
    own, flag = f"task.ext.{option.name}", option.flag
    if option.kind == "input":
        return f'if ({option.name}) options << "{flag} ${{{option.name}}}"'
    if option.kind == "flag":
        return f'if ({own}) options << "{flag}"'
    if option.kind == "output":
        return f'if ({own}) options << "{flag} ${{prefix}}__{option.name}{_ending(option)}"'
    if option.kind == "texts":
        return f"{own}?.each {{ one -> options << \"{flag} '${{one}}'\" }}"
    other = FROM_ENGINE.get(option.name)
    if other is None:
        return f"if ({own} != null) options << \"{flag} '${{{own}}}'\""
    return (
        f"def {option.name} = {own} != null ? {own} : ({other}); "
        f"if ({option.name} != null) options << \"{flag} '${{{option.name}}}'\""
    )


MODULE = """// @MADE@
// An absent file of the input is []; options are task.ext.NAME, an output is asked for by true.
process DWISER_DENOISE {
    tag "$meta.id"
    label 'process_medium'

    input:
    tuple val(meta), path(image), @INPUTS@

    output:
    tuple val(meta), path("*__denoised.nii.gz"), emit: image
    tuple val(meta), path("*__denoised.bval"), emit: bval, optional: true
    tuple val(meta), path("*__denoised.bvec"), emit: bvec, optional: true
    tuple val(meta), path("*__denoised.json"), emit: sidecar, optional: true
@EMITS@
    path "versions.yml", emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def prefix = task.ext.prefix ?: "${meta.id}"
    def options = []
@OPTIONS@
    \"\"\"
    dwiser denoise ${image} ${prefix}__denoised.nii.gz ${options.join(' ')}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        dwiser: \\$(dwiser --version)
    END_VERSIONS
    \"\"\"

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    \"\"\"
    touch ${prefix}__denoised.nii.gz ${prefix}__denoised.bval ${prefix}__denoised.bvec
    touch ${prefix}__denoised.json versions.yml
    \"\"\"
}
"""


def nextflow_meta() -> str:
    """What the module is, for those who search for one."""
    options = denoise_options()
    files = [o for o in options if o.kind == "input"]
    lines = [
        f"# {MADE}",
        "name: dwiser_denoise",
        f"description: {_quoted(LINE)}",
        "keywords: [diffusion, denoising, nifti]",
        "tools:",
        "  - dwiser:",
        f"      description: {_quoted(LINE)}",
        '      licence: ["BSD-3-Clause"]',
        "args:",
        *(_meta(option) for option in options if option.kind != "input"),
        "input:",
        '  - meta: {type: map, description: "The sample; meta.id is in the names"}',
        '  - image: {type: file, description: "The series, a 4-D image", mandatory: true}',
        *(f"  - {o.name}: {{type: file, description: {_quoted(o.help)}}}" for o in files),
        "output:",
        '  - image: {type: file, description: "The denoised series"}',
        *(f'  - {n}: {{type: file, description: "Its {n}"}}' for n in ("bval", "bvec", "sidecar")),
        *(
            f"  - {o.name}: {{type: file, description: {_quoted(o.help)}}}"
            for o in options
            if o.kind == "output"
        ),
        '  - versions: {type: file, description: "dwiser\'s version"}',
    ]
    return "\n".join(lines) + "\n"


def _meta(option: Option) -> str:
    kinds = {"flag": "boolean", "output": "boolean", "integer": "integer", "number": "float"}
    kind = "list" if option.kind == "texts" else kinds.get(option.kind, "string")
    choices = f", choices: [{', '.join(map(_quoted, option.choices))}]" if option.choices else ""
    return f"  - {option.name}: {{type: {kind}, description: {_quoted(option.help)}{choices}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


MODULE_FOLDER = FOLDER / "nextflow" / "dwiser" / "denoise"
BUILT = {
    FOLDER / "boutiques.json": boutiques,
    FOLDER / "snakemake" / "Snakefile": snakemake,
    MODULE_FOLDER / "main.nf": nextflow,
    MODULE_FOLDER / "meta.yml": nextflow_meta,
}


def main() -> int:
    return write_or_check(__doc__, BUILT)


if __name__ == "__main__":
    sys.exit(main())
