"""Panels: each answers one question in a cell, and draws what is asked when a control is moved."""
