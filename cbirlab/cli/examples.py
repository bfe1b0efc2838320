"""Examples: the end of the command line's help."""

EXAMPLES = """
examples:
  cbirlab lab                                            the notebooks in JupyterLab
  cbirlab app --dataset my/photos                        the panel alone, in the browser
  cbirlab list                                           everything that can be chosen
  cbirlab list taps resnet50                             where maps can be taken in a network
  cbirlab run --tap layer3 --aggregation "gem(p=4)" --whitening pca --dimensions 64
  cbirlab compare --taps all --aggregations all --whitenings all --out table.csv
  cbirlab compare --dataset my/photos --backbone toynet mobilenet_v2 --out table.md
  cbirlab compare --backbone handcrafted toynet --taps all --encodings vlad fisher --out table.md
  cbirlab search picture.jpg --in my/photos --page found.html
  cbirlab duplicates my/photos --threshold 0.97          images that are nearly the same
  cbirlab extract --dataset my/photos --cluster local    on all cores, for later
  cbirlab index push --index "pgvector(collection=x)"    descriptors into PostgreSQL
  cbirlab versus table.csv 0 3                           where one row beats the other
  cbirlab why --tap layer4 --whitening pca               what each choice changes, one at a time
  cbirlab matrix --sources toytown my/photos --targets toytown my/photos
  cbirlab evaluate --dataset my/photos --features x.npy  what others computed, judged
  cbirlab export --dataset my/photos --out photos.faiss  descriptors for other tools
  cbirlab published --dataset oxford5k                   numbers of the literature
  cbirlab run --recipe table.csv --row 3                 a row of a table again
  cbirlab data list                                      which benchmarks are on this machine
  cbirlab store prune --older-than 30
"""
