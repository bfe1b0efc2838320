"""How toynet is trained: pictures, augmentation, objective and loop. Run by ``../train.py``."""
