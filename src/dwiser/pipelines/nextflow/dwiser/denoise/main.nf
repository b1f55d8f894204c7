// made by scripts/pipelines.py: do not edit
// An absent file of the input is []; options are task.ext.NAME, an output is asked for by true.
process DWISER_DENOISE {
    tag "$meta.id"
    label 'process_medium'

    input:
    tuple val(meta), path(image), path(phase), path(warm_start), path(bval), path(bvec), path(grad), path(mask), path(noise_map)

    output:
    tuple val(meta), path("*__denoised.nii.gz"), emit: image
    tuple val(meta), path("*__denoised.bval"), emit: bval, optional: true
    tuple val(meta), path("*__denoised.bvec"), emit: bvec, optional: true
    tuple val(meta), path("*__denoised.json"), emit: sidecar, optional: true
    tuple val(meta), path("*__save_uncertainty.nii.gz"), emit: save_uncertainty, optional: true
    tuple val(meta), path("*__save_rank.nii.gz"), emit: save_rank, optional: true
    tuple val(meta), path("*__save_variance.nii.gz"), emit: save_variance, optional: true
    tuple val(meta), path("*__save_real.nii.gz"), emit: save_real, optional: true
    tuple val(meta), path("*__save_phase.nii.gz"), emit: save_phase, optional: true
    tuple val(meta), path("*__save_weights.safetensors"), emit: save_weights, optional: true
    tuple val(meta), path("*__report.html"), emit: report, optional: true
    tuple val(meta), path("*__save_noise.nii.gz"), emit: save_noise, optional: true
    tuple val(meta), path("*__save_residual.nii.gz"), emit: save_residual, optional: true
    tuple val(meta), path("*__save_standardised.nii.gz"), emit: save_standardised, optional: true
    tuple val(meta), path("*__save_mask.nii.gz"), emit: save_mask, optional: true
    path "versions.yml", emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def prefix = task.ext.prefix ?: "${meta.id}"
    def options = []
    if (task.ext.method != null) options << "--method '${task.ext.method}'"
    if (task.ext.preset != null) options << "--preset '${task.ext.preset}'"
    task.ext.settings?.each { one -> options << "--set '${one}'" }
    if (task.ext.save_uncertainty) options << "--save-uncertainty ${prefix}__save_uncertainty.nii.gz"
    if (task.ext.save_rank) options << "--save-rank ${prefix}__save_rank.nii.gz"
    if (task.ext.save_variance) options << "--save-variance ${prefix}__save_variance.nii.gz"
    if (task.ext.save_real) options << "--save-real ${prefix}__save_real.nii.gz"
    if (task.ext.save_phase) options << "--save-phase ${prefix}__save_phase.nii.gz"
    if (task.ext.noise_only) options << "--noise-only"
    if (phase) options << "--phase ${phase}"
    if (task.ext.save_weights) options << "--save-weights ${prefix}__save_weights.safetensors"
    if (warm_start) options << "--warm-start ${warm_start}"
    if (task.ext.resume) options << "--resume"
    if (task.ext.checkpoint_every != null) options << "--checkpoint-every '${task.ext.checkpoint_every}'"
    if (task.ext.report) options << "--report ${prefix}__report.html"
    if (bval) options << "--bval ${bval}"
    if (bvec) options << "--bvec ${bvec}"
    if (grad) options << "--grad ${grad}"
    if (mask) options << "--mask ${mask}"
    if (noise_map) options << "--noise-map ${noise_map}"
    if (task.ext.noise_volumes != null) options << "--noise-volumes '${task.ext.noise_volumes}'"
    if (task.ext.save_noise) options << "--save-noise ${prefix}__save_noise.nii.gz"
    if (task.ext.save_residual) options << "--save-residual ${prefix}__save_residual.nii.gz"
    if (task.ext.save_standardised) options << "--save-standardised ${prefix}__save_standardised.nii.gz"
    if (task.ext.save_mask) options << "--save-mask ${prefix}__save_mask.nii.gz"
    if (task.ext.b0_threshold != null) options << "--b0-threshold '${task.ext.b0_threshold}'"
    if (task.ext.bvalue_scaling != null) options << "--bvalue-scaling '${task.ext.bvalue_scaling}'"
    if (task.ext.b_delta != null) options << "--b-delta '${task.ext.b_delta}'"
    if (task.ext.device != null) options << "--device '${task.ext.device}'"
    def threads = task.ext.threads != null ? task.ext.threads : (task.cpus); if (threads != null) options << "--threads '${threads}'"
    def memory = task.ext.memory != null ? task.ext.memory : (task.memory ? "${task.memory.toMega()}M" : null); if (memory != null) options << "--memory '${memory}'"
    if (task.ext.seed != null) options << "--seed '${task.ext.seed}'"
    if (task.ext.force) options << "--force"
    if (task.ext.strict) options << "--strict"
    if (task.ext.verbose) options << "--verbose"
    if (task.ext.quiet) options << "--quiet"
    """
    dwiser denoise ${image} ${prefix}__denoised.nii.gz ${options.join(' ')}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        dwiser: \$(dwiser --version)
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}__denoised.nii.gz ${prefix}__denoised.bval ${prefix}__denoised.bvec
    touch ${prefix}__denoised.json versions.yml
    """
}
