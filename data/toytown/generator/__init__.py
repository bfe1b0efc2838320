"""Toytown's world and camera: procedural landmarks, their surroundings, and photographs of them."""
