"""SVG as PNG."""

import importlib.util
from pathlib import Path

from purebp.packages import load

ZOOM = 2.0


def png_of(svg: str) -> bytes:
    """The picture in pixels, two for each unit; with the fonts of the system or of Matplotlib."""
    resvg = load("resvg_py", needed_by="a picture as PNG", extra="graph")
    fonts = _fonts()
    return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=ZOOM, font_dirs=fonts))


def _fonts() -> list[str]:
    """Matplotlib brings fonts, for machines that have none."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return []
    return [str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf")]
