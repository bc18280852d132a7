"""Which values to keep so that others can be computed again from them, in the fewest bytes.

It is a minimum cut: what is needed hangs on what it is computed from, down to what cannot be
computed again, and every such thread has to be cut at a value that is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

SOURCE, SINK = 0, 1
LARGEST = 2**20
"""The sum of all sizes in units of the flow, which are whole numbers."""


def fewest_bytes(
    needed: Sequence[Any], again: Mapping[Any, Sequence[Any]], size: Callable[[Any], int]
) -> list[Any]:
    """The values to keep: together the smallest from which all that is needed can be computed.

    `again`: for each value that may be computed again, what from. Of several ways the one that
    computes least is taken.
    """
    number, left = dict[Any, int](), list(dict.fromkeys(needed))
    while left:
        value = left.pop()
        if value not in number:
            number[value] = len(number)
            left += again.get(value, ())
    if not number:
        return []
    unit = max(sum(map(size, number)) / LARGEST, 1.0)
    edges = [(2 + 2 * k, 3 + 2 * k, max(round(size(v) / unit), 1)) for v, k in number.items()]
    endless = 2 * LARGEST + len(number)
    edges += [(3 + 2 * number[v], SINK, endless) for v in dict.fromkeys(needed)]
    for value, k in number.items():
        if value in again:
            sources = [3 + 2 * number[each] for each in dict.fromkeys(again[value])]
        else:
            sources = [SOURCE]
        edges += [(source, 2 + 2 * k, endless) for source in sources]
    rows, columns, widths = np.asarray(edges, np.int32).T
    nodes = 2 + 2 * len(number)
    graph = coo_array((widths, (rows, columns)), shape=(nodes, nodes)).tocsr()
    room = graph - maximum_flow(graph, SOURCE, SINK).flow
    room.eliminate_zeros()
    below = np.zeros(nodes, bool)
    below[breadth_first_order(room.T.tocsr(), SINK, return_predecessors=False)] = True
    return [v for v, k in number.items() if below[3 + 2 * k] and not below[2 + 2 * k]]
