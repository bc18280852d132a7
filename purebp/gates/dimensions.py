"""The dimension numbers of gather and scatter, and how they turn into each other."""

from jax.lax import GatherDimensionNumbers as Gathers
from jax.lax import ScatterDimensionNumbers as Scatters

Shape = tuple[int, ...]


def gather_numbers(
    shape: Shape, index_rank: int, numbers: Gathers | None, sizes: Shape | None
) -> tuple[Gathers, Shape]:
    """Those given, or those of whole rows."""
    if numbers is not None:
        return numbers, sizes or ()
    width = len(shape) - 1
    rows = Gathers(
        offset_dims=tuple(range(index_rank - 1, index_rank - 1 + width)),
        collapsed_slice_dims=(0,),
        start_index_map=(0,),
    )
    return rows, (1, *shape[1:])


def scatter_numbers(numbers: Gathers) -> Scatters:
    """The scatter that writes where this gather reads."""
    return Scatters(
        update_window_dims=numbers.offset_dims,
        inserted_window_dims=numbers.collapsed_slice_dims,
        scatter_dims_to_operand_dims=numbers.start_index_map,
        operand_batching_dims=numbers.operand_batching_dims,
        scatter_indices_batching_dims=numbers.start_indices_batching_dims,
    )


def of_rows(shape: Shape, index_rank: int, numbers: Scatters | None) -> Scatters:
    """The numbers given, or those of whole rows."""
    if numbers is not None:
        return numbers
    return scatter_numbers(gather_numbers(shape, index_rank, None, None)[0])


def reading(shape: Shape, updates: Shape, numbers: Scatters) -> tuple[Gathers, Shape]:
    """The gather that reads where this scatter writes, and the sizes of its windows."""
    left_out = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    sizes = iter(updates[axis] for axis in numbers.update_window_dims)
    window = tuple(1 if axis in left_out else next(sizes) for axis in range(len(shape)))
    gathers = Gathers(
        offset_dims=tuple(numbers.update_window_dims),
        collapsed_slice_dims=tuple(numbers.inserted_window_dims),
        start_index_map=tuple(numbers.scatter_dims_to_operand_dims),
        operand_batching_dims=tuple(numbers.operand_batching_dims),
        start_indices_batching_dims=tuple(numbers.scatter_indices_batching_dims),
    )
    return gathers, window
