"""Di-Fusion (Wu et al., ICLR 2025): `method` is the door; the chain is in `chain`."""

from dwiser.methods.difusion.method import Difusion

__all__ = ["Difusion"]
