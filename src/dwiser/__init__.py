"""dwiser: self-supervised denoising of diffusion MRI."""

__version__ = "0.1.0"
