"""splitnet, a network across disjoint directions: `method` is the door, the others its steps."""

from dwiser.methods.splitnet.method import Splitnet

__all__ = ["Splitnet"]
