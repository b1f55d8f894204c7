"""splitq, the default method: `method` is the door, the other files are its steps."""

from dwiser.methods.splitq.method import Splitq

__all__ = ["Splitq"]
