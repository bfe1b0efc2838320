"""Study: what is compared and explained: grids, choices, places of a picture, perturbations, the literature."""
