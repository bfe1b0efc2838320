"""Corel-1k, CUB-200-2011 and Stanford Online Products: classes instead of instances."""

from __future__ import annotations

from cbirlab.datasets.catalogue import About, Need, Source, anywhere

COREL = About(
    protocol="category",
    images=1000,
    queries=1000,
    size="30 MB",
    licence="Corel stock photographs, customarily used for research only.",
    citation="Wang, Li and Wiederhold: SIMPLIcity: semantics-sensitive integrated matching for picture libraries. "
    "TPAMI 2001.",
    needs=(Need("images", anywhere("[0-9]*.jpg")),),
    page="http://wang.ist.psu.edu/docs/related/",
)
CUB = About(
    protocol="category",
    images=5924,
    queries=5924,
    size="1.2 GB",
    licence="Photographs of their authors on Flickr: non-commercial research and education.",
    citation="Wah, Branson, Welinder, Perona and Belongie: The Caltech-UCSD Birds-200-2011 dataset. 2011.",
    needs=(Need("lists", anywhere("images.txt")), Need("images", ("images/*/*.jpg", "*/images/*/*.jpg"))),
    sources=(
        Source(
            "CUB_200_2011.tgz",
            ("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
            digest="md5:97eceeb196236b17998738112f37df78",
        ),
    ),
    page="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    note="As in metric learning: classes 101 to 200 are searched, 1 to 100 are the train split.",
)
SOP = About(
    protocol="category",
    images=60_502,
    queries=60_502,
    size="3 GB",
    licence="Photographs of eBay's sellers: research use.",
    citation="Song, Xiang, Jegelka and Savarese: Deep metric learning via lifted structured feature embedding. "
    "CVPR 2016.",
    needs=(Need("lists", anywhere("Ebay_test.txt")), Need("images", ("*_final", "*/*_final"))),
    sources=(
        Source(
            "Stanford_Online_Products.zip",
            (
                "http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
                "ftp://cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
            ),
            digest="md5:7f73d41a2f44250d4779881525aea32e",
        ),
    ),
    page="https://cvgl.stanford.edu/projects/lifted_struct/",
)
