"""Holidays, UKBench, INSTRE and Stanford Mobile Visual Search: one object or scene per instance."""

from __future__ import annotations

from dataclasses import replace

from cbirlab.datasets.catalogue import About, Need, Source, anywhere

HOLIDAYS = About(
    protocol="holidays",
    images=1491,
    queries=500,
    size="2.7 GB",
    licence="Copyright INRIA, provided as is: research use.",
    citation="Jégou, Douze and Schmid: Hamming embedding and weak geometric consistency for large scale image search. "
    "ECCV 2008.",
    needs=(Need("images", anywhere("100000.jpg")),),
    sources=tuple(
        Source(f"jpg{part}.tar.gz", (f"http://pascal.inrialpes.fr/data/holidays/jpg{part}.tar.gz",)) for part in (1, 2)
    ),
    page="https://lear.inrialpes.fr/people/jegou/data.php",
    note="Images are turned upright where their file says how; many published numbers are on images that were turned "
    "upright by hand (holidays_upright).",
)
UPRIGHT = replace(HOLIDAYS, sources=(), note="The images of Holidays, turned upright by hand by whoever has them.")
UKBENCH = About(
    protocol="ukbench",
    images=10_200,
    queries=10_200,
    size="1.5 GB",
    licence="No licence is stated: research use.",
    citation="Nistér and Stewénius: Scalable recognition with a vocabulary tree. CVPR 2006.",
    needs=(Need("images", anywhere("ukbench00000.jpg")),),
    sources=(Source("ukbench.zip", ("https://archive.org/download/ukbench/ukbench.zip",)),),
    page="https://archive.org/details/ukbench",
    note="The revised set; in the first release a part was there twice.",
)
INSTRE = About(
    protocol="instre",
    images=27_293,
    queries=1250,
    size="2.3 GB",
    licence="No licence is stated: research use.",
    citation="Wang and Jiang: INSTRE: a new benchmark for instance-level object retrieval and recognition. "
    "ACM TOMM 2015; split of Iscen, Tolias, Avrithis, Furon and Chum, CVPR 2017.",
    needs=(Need("ground truth", ("gnd_instre.*",)), Need("images", ("INSTRE-S1", "images/INSTRE-S1"))),
    sources=tuple(
        Source(file, (f"ftp://ftp.irisa.fr/local/texmex/corpus/instre/{file}",))
        for file in ("instre.tar.gz", "gnd_instre.mat")
    ),
    page="ftp://ftp.irisa.fr/local/texmex/corpus/instre/",
)


SMVS = About(
    protocol="retrieval",
    images=None,
    queries=None,
    size="0.4 GB a category",
    licence="No licence is stated; covers and paintings are copyrighted works: research use.",
    citation="Chandrasekhar et al.: The Stanford Mobile Visual Search data set. ACM MMSys 2011.",
    needs=(Need("reference pictures", anywhere("Reference/*.jpg")),),
    sources=tuple(
        Source(f"{category}.zip", (f"https://stacks.stanford.edu/file/druid:rb470rw0983/{category}.zip",), category)
        for category in ("dvd_covers", "cd_covers")
    ),
    page="https://purl.stanford.edu/rb470rw0983",
    note="About 1,200 objects and 3,300 photos of them in eight categories; one category is a benchmark too.",
    folders=("smvs", "smvs_dvd_covers"),
)
