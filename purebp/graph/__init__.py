"""Computational graphs: one run of a function, with its values and gradients, as a picture.

record    a run as nodes; node: what they are; boxes: which belong together
roles     what each gate does with a gradient
graph     backward, save, and so on
view      what is drawn; layout: where; picture, html, png, table: how; numbers, labels: with what
summary   gradient norms, dead ReLUs, the first nan
"""

from purebp.graph.graph import Graph, trace
from purebp.graph.node import Node
from purebp.graph.summary import Summary

__all__ = ["Graph", "Node", "Summary", "trace"]
