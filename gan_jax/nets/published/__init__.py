"""Weights of published code: their names and layouts, and the networks here that they are of.

A file for each code base. Each tells the network by what the weights are called and by their
shapes; a weight that the network has no place for, or lacks, is an error that names it.
"""
