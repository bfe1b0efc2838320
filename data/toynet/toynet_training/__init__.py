"""How toynet is trained: pictures, augmentation, teacher, objective and loop. Run by ``../train.py``."""
