"""Expansion against golden vectors, and against loops that read as the formulas do."""

from __future__ import annotations

import numpy as np
import pytest
from golden_reranking import QUERY, ROWS

from cbirlab.reranking import Answers, Gallery, rerank_answers

GOLDEN = {
    "none": ("05761234", [0.978148, 0.880797, 0.707107, 0.452885, 0.173648, 0.925417, 0.896605, 0.918263]),
    "aqe(k=2)": ("05761234", [0.966240, 0.861789, 0.673846, 0.408120, 0.129566, 0.948130, 0.917650, 0.928823]),
    "aqe(k=4)": ("57601234", [0.916787, 0.772273, 0.552254, 0.264679, -0.025350, 0.979499, 0.967474, 0.974227]),
    "alpha_qe(k=4, alpha=3)": (
        "57601234",
        [0.928217, 0.790485, 0.576636, 0.293134, 0.004120, 0.974324, 0.959556, 0.968241],
    ),
    "decay(k=4, mutual=False)": (
        "50761234",
        [0.953110, 0.833358, 0.635399, 0.362814, 0.077941, 0.958501, 0.936277, 0.948906],
    ),
    "dba(k=2, alpha=3)": (
        "57601234",
        [0.901963, 0.880748, 0.704413, 0.457222, 0.406751, 0.918866, 0.918623, 0.918647],
    ),
    "dba(k=2)": ("56701234", [0.879986, 0.879986, 0.703050, 0.458956, 0.458956, 0.918856, 0.918856, 0.918856]),
}


@pytest.mark.parametrize("method", GOLDEN)
def test_golden_vectors(method):
    order, scores = GOLDEN[method]
    found = rerank_answers(Answers.of_exact(QUERY, Gallery(ROWS.astype(np.float64))), method).ranking
    assert "".join(map(str, found.images[0])) == order
    assert found.scores[0] == pytest.approx(np.array(scores)[found.images[0]], abs=1e-6)
