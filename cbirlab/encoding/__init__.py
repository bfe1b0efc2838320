"""Encodings: an image's set of local descriptors (T, D) becomes one vector. In the order of the survey, 3.2.2.

Each entry is a scikit-learn-style estimator; see `cbirlab.encoding.base.LocalEncoding`::

    vlad = ENCODINGS["vlad"](k=64).fit(sampled_columns)     # (n, D) of the train split
    vectors = vlad.encode(columns)                          # Tensor (B, T, D) -> Tensor (B, vlad.width(D))

Fact: `similarity`, a function of rows (Q, D) and (N, D) and the encoding's parameters that compares them if the inner
product does not; no whitening may follow then.
"""

from cbirlab.encoding.methods import ENCODINGS

__all__ = ["ENCODINGS"]
