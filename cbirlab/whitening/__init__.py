"""Whitening makes descriptors comparable: scikit-learn estimators, and the normalisation around them.

The convention of the field is L2, whiten, keep the leading dimensions, L2::

    whitening = learn("pca(power=0.25)", train)         # rows are normalised, then it is fitted
    whitened = whiten(whitening, images, dimensions=128)

For a slider that moves `dimensions`, keep ``projected = project(whitening, images)`` and show
``normalise(projected[:, :dimensions])``: it is the same.
"""

from cbirlab.whitening.methods import NORM_FLOOR, WHITENINGS, Whitening, l2, learn, normalise, project, whiten

__all__ = ["NORM_FLOOR", "WHITENINGS", "Whitening", "l2", "learn", "normalise", "project", "whiten"]
