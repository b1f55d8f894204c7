"""DDM² (Xiang et al., ICLR 2023): `method` is the door, `stages` and `noise_matching` its steps."""

from dwiser.methods.ddm2.method import DDM2

__all__ = ["DDM2"]
