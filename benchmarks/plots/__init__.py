"""What is in ``benchmarks/results``, drawn for the docs as SVG.

Written by hand: lines and bars are less than what a plotting library would bring along, and the
same results always give the same bytes.
"""
