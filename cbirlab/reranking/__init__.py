"""Re-ranking: rankings in, better rankings out, by what the first results and their neighbours say.

`cbirlab.reranking.methods` names the methods. Each is a function of `Answers`, so that they can be chained.
"""

from cbirlab.reranking.answers import Answers, Pictures
from cbirlab.reranking.arrays import rerank
from cbirlab.reranking.gallery import Gallery
from cbirlab.reranking.methods import RERANKERS, Reranking, rerank_answers
from cbirlab.reranking.neighbours import Neighbours, find_neighbours

__all__ = [
    "RERANKERS",
    "Answers",
    "Gallery",
    "Neighbours",
    "Pictures",
    "Reranking",
    "find_neighbours",
    "rerank",
    "rerank_answers",
]
