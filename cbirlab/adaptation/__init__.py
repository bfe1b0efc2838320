"""Adaptation: networks and descriptors for pictures of another kind than those that the weights have seen."""

from cbirlab.adaptation.judgements import Judgement, read_judgements, write_judgements
from cbirlab.adaptation.learning_curve import label_curve
from cbirlab.adaptation.running import train
from cbirlab.adaptation.shift import domain_shift
from cbirlab.adaptation.trained import Trained, find_trained
from cbirlab.adaptation.training import Training

__all__ = [
    "Judgement",
    "Trained",
    "Training",
    "domain_shift",
    "find_trained",
    "label_curve",
    "read_judgements",
    "train",
    "write_judgements",
]
