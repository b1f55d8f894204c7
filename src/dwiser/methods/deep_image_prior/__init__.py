"""Deep image prior (Ulyanov et al., CVPR 2018): a decoder fitted to each slice."""

from dwiser.methods.deep_image_prior.method import DeepImagePrior

__all__ = ["DeepImagePrior"]
