"""Damaged and hostile files: every reader of the package must return, or raise its own error, within bounds."""
