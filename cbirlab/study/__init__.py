"""Study: compare and explain: grids, choices, places in a picture, perturbations, published numbers."""
