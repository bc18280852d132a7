"""Build the API reference: `python -m reference.api`, into build/api/html."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from sphinx.application import Sphinx

from reference.api.pages import places, write
from reference.api.sources import write_page

SETTINGS = {
    "project": "purebp",
    "extensions": ["reference.api.mathml"],
    "html_math_renderer": "mathml",
    "html_theme": "alabaster",
    "html_theme_options": {
        "description": "hand-derived backpropagation",
        "fixed_sidebar": True,
        "page_width": "72rem",
        "sidebar_width": "15rem",
        "body_max_width": "52rem",
        "show_related": True,
        "show_powered_by": False,
    },
    "html_sidebars": {"**": ["about.html", "searchfield.html", "localtoc.html", "relations.html"]},
    "html_title": "purebp",
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "smartquotes": False,
    "pygments_style": "friendly",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, make HTML of them, and add the pages of code."""
    parser = argparse.ArgumentParser(prog="python -m reference.api", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/api"))
    args = parser.parse_args(argv)
    source, html, trees = (args.output / name for name in ("source", "html", "doctrees"))
    for folder in (source, html, trees):
        shutil.rmtree(folder, ignore_errors=True)
    public = write(source)
    app = Sphinx(
        str(source), None, str(html), str(trees), "html",
        confoverrides=dict(SETTINGS), status=None, warning=sys.stderr, warningiserror=True,
    )  # fmt: skip
    app.build()
    for each in public:
        for where in places(each).values():
            for place in where:
                write_page(place, html)
    sys.stdout.write(f"{len(public)} pages: {html / 'index.html'}\n")
    return int(bool(app.statuscode))


if __name__ == "__main__":
    sys.exit(main())
