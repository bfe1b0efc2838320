"""The published benchmarks: what each is, what it needs, where it comes from, who may use it.

Addresses and numbers are those that the publishers and their reference code name. A checksum is given only where
several independent sources agree on it.
"""

from __future__ import annotations

from cbirlab.datasets.benchmarks import buildings, categories, google, objects
from cbirlab.datasets.catalogue import add_benchmark

for _name, _module, _about, _title, _reference in (
    ("oxford5k", "oxford_paris", buildings.OXFORD, "Oxford5k", "Philbin et al., CVPR 2007"),
    ("paris6k", "oxford_paris", buildings.PARIS, "Paris6k", "Philbin et al., CVPR 2008"),
    ("roxford5k", "oxford_paris", buildings.REVISITED, "Revisited Oxford", "Radenović et al., CVPR 2018"),
    ("rparis6k", "oxford_paris", buildings.REVISITED_PARIS, "Revisited Paris", "Radenović et al., CVPR 2018"),
    (
        "roxford5k_1m",
        "oxford_paris",
        buildings.OXFORD_MILLION,
        "Revisited Oxford + 1M",
        "Radenović et al., CVPR 2018",
    ),
    (
        "rparis6k_1m",
        "oxford_paris",
        buildings.PARIS_MILLION,
        "Revisited Paris + 1M",
        "Radenović et al., CVPR 2018",
    ),
    ("revisitop1m", "oxford_paris", buildings.MILLION, "R1M distractors", "Radenović et al., CVPR 2018"),
    ("holidays", "holidays", objects.HOLIDAYS, "INRIA Holidays", "Jégou et al., ECCV 2008"),
    (
        "holidays_upright",
        "holidays",
        objects.UPRIGHT,
        "INRIA Holidays, upright",
        "Jégou et al., ECCV 2008",
    ),
    ("ukbench", "ukbench", objects.UKBENCH, "UKBench", "Nistér and Stewénius, CVPR 2006"),
    ("instre", "instre", objects.INSTRE, "INSTRE", "Wang and Jiang, TOMM 2015; Iscen et al., CVPR 2017"),
    ("gldv2", "landmarks", google.GLDV2, "Google Landmarks v2, retrieval", "Weyand et al., CVPR 2020"),
    (
        "gldv2_recognition",
        "landmarks",
        google.GLDV2_RECOGNITION,
        "Google Landmarks v2, recognition",
        "Weyand et al., CVPR 2020",
    ),
    ("smvs", "smvs", objects.SMVS, "Stanford Mobile Visual Search", "Chandrasekhar et al., MMSys 2011"),
    ("corel1k", "category", categories.COREL, "Corel-1k", "Wang, Li and Wiederhold, TPAMI 2001"),
    ("cub200", "category", categories.CUB, "CUB-200-2011", "Wah et al., 2011"),
    ("sop", "category", categories.SOP, "Stanford Online Products", "Song et al., CVPR 2016"),
):
    add_benchmark(_name, f"cbirlab.datasets.{_module}:{_name}", _about, title=_title, reference=_reference)
