"""Panels: each answers one question in a cell, and draws the new answer when a control is moved."""
