"""Draws ``benchmarks/results`` for the docs, as SVG.

Without a plotting library: a few lines and bars need none, and the same results always give the
same bytes.
"""
