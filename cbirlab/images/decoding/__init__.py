"""Decoding: a picture's file becomes an upright RGB picture in bounded memory, or one clear error."""
