"""Live: a bench for panels, where a move of a slider costs milliseconds."""

from cbirlab.live.session import Session

__all__ = ["Session"]
