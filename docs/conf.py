"""How the documentation is built: ``make docs``, into build/docs.

Nothing is fetched, neither by the build nor by a reader: MathJax comes from the package
sphinx-mathjax-offline, and search runs in the browser.  Pages of the examples and their notebooks
are made from examples/*.py into docs/gallery/, which git does not see.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import bayesgmm

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "bayesgmm"
author = "The bayesgmm developers"
copyright = "the bayesgmm developers, MIT licence"
version = release = bayesgmm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_*", "**/.*"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
highlight_language = "python"
copybutton_selector = "div.highlight-python pre, div.highlight-sh pre, div.highlight-r pre"

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings have them, in words
autodoc_default_options = {"exclude-members": "__init__, __new__"}
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = f"bayesgmm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_sidebars = {"**": ["all-pages.html"], "index": []}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_start": ["navbar-logo"],
    "navbar_center": ["sections.html"],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "logo": {"text": "bayesgmm"},
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}

# Formulas become pictures of glyphs: one file, which needs no fonts and works from a folder.
mathjax_path = "mathjax/tex-svg.js"
mathjax4_config = None
mathjax3_config = {"svg": {"fontCache": "global"}, "options": {"enableMenu": False}}
_MATHJAX = importlib.util.find_spec("sphinx-mathjax-offline")


def bring_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax beside the pages."""
    if error is None and app.builder.format == "html":
        there = Path(_MATHJAX.origin).parent / "static" / "mathjax" / "tex-svg.js"
        target = Path(app.outdir) / "_static" / "mathjax" / "tex-svg.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, target)


# The reference ------------------------------------------------------------------

_NAMES = re.compile(r"^```\{public\}\n(.*?)```", re.DOTALL | re.MULTILINE)


def named(page: str) -> list[str]:
    """The public names that a page of the reference lists."""
    return [name for block in _NAMES.findall(page) for name in block.split()]


class Public(SphinxDirective):
    """Public names: a table of them, and then each in full.

    Without content: those that no other page lists, so that a new name is never left out.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        names = " ".join(self.content).split()
        if not names:
            pages = (DOCS / "reference").glob("*.md")
            listed = {name for page in pages for name in named(page.read_text(encoding="utf-8"))}
            names = [
                name
                for name in bayesgmm.__all__
                if name not in listed and not name.startswith("__")
            ]
        if not names:
            return [nodes.paragraph("", "There is none at present.")]
        lines = ["```{eval-rst}", ".. currentmodule:: bayesgmm", "", ".. autosummary::"]
        lines += ["   :nosignatures:", "", *(f"   {name}" for name in names), ""]
        for name in names:
            lines += [*self.entry(name), ""]
        lines.append("```")
        holder = nodes.Element()
        self.state.nested_parse(
            StringList(lines, source=self.env.doc2path(self.env.docname)), 0, holder
        )
        return holder.children

    @staticmethod
    def entry(name: str) -> list[str]:
        value = getattr(bayesgmm, name)
        if isinstance(value, type):
            if issubclass(value, (Exception, Warning)):
                return [f".. autoexception:: {name}"]
            others = [
                base.__name__
                for base in value.__mro__
                if not base.__module__.startswith("bayesgmm")
            ]
            return [
                f".. autoclass:: {name}",
                "   :members:",
                f"   :inherited-members: {', '.join(others)}",
            ]
        if callable(value):
            return [f".. autofunction:: {name}"]
        return [f".. automodule:: bayesgmm.{name}", "   :members:"]


# The examples -------------------------------------------------------------------

PICTURES = {
    "anomalies": ["images/uses_anomalies.png"],
    "digits": ["images/uses_digits.png"],
    "how_many_components": ["_static/gallery_criteria.png", "_static/gallery_average.png"],
    "old_faithful": ["images/guide_fit.png"],
    "regression": ["images/uses_regression.png", "images/uses_inverse.png"],
    "scikit_learn_face": ["_static/gallery_scikit_learn.png"],
    "stretched_clusters": ["images/uses_stretched.png"],
}


def notebook(source: str, name: str) -> nbformat.NotebookNode:
    """A script as a notebook: its docstring, a cell for imports and one for each function."""
    tree = ast.parse(source)
    lines = source.splitlines()
    cells, begin, functions = [], 0, False
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        is_function = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        if isinstance(node, ast.Expr) and node is tree.body[0]:
            begin = node.end_lineno or 0
            continue
        if isinstance(node, ast.If):  # run as a script
            break
        if is_function or functions:
            cells.append("\n".join(lines[begin:first]).strip())
            begin = first
        functions = is_function
    cells.append("\n".join(lines[begin : first if isinstance(node, ast.If) else None]).strip())
    title, _, rest = (ast.get_docstring(tree) or name).partition("\n\n")
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_markdown_cell(f"# {title}\n\n{rest}")]
    made.cells += [nbformat.v4.new_code_cell(cell) for cell in cells if cell]
    made.cells.append(
        nbformat.v4.new_code_cell(
            "from IPython.display import Image, display\n\n"
            f'main(["--out", "{name}"])\n'
            f'for picture in sorted(Path("{name}").glob("*.png")):\n'
            "    display(Image(filename=str(picture)))"
        )
    )
    for number, cell in enumerate(made.cells):
        cell["id"] = f"{name}-{number}".replace("_", "-")  # the same at every build
    made.metadata["language_info"] = {"name": "python"}
    nbformat.validate(made)
    return made


def write_gallery(app: Sphinx) -> None:
    """A page and a notebook for each example."""
    folder = DOCS / "gallery"
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    scripts = sorted((ROOT / "examples").glob("*.py"))
    for old in folder.glob("*.md"):
        if old.stem not in {script.stem for script in scripts}:
            old.unlink()
            old.with_suffix(".ipynb").unlink(missing_ok=True)
    for script in scripts:
        name, source = script.stem, script.read_text(encoding="utf-8")
        first, _, rest = (ast.get_docstring(ast.parse(source)) or name).partition("\n\n")
        title = re.split(r"[:?]", first)[0]
        rest = rest.replace("``", "`")
        pictures = "\n\n".join(
            f"![What {script.name} draws]({'../' + picture})" for picture in PICTURES.get(name, [])
        )
        page = f"""# {title.strip().rstrip(".")}

*{" ".join(first.split())}* {rest}

{pictures}

{{download}}`The script <../../examples/{script.name}>` ·
{{download}}`a notebook of it <{name}.ipynb>`

```{{literalinclude}} ../../examples/{script.name}
:language: python
```
"""
        write(folder / f"{name}.md", page)
        write(folder / f"{name}.ipynb", nbformat.writes(notebook(source, name)) + "\n")


def write(path: Path, text: str) -> None:
    """Write what is new, so that what is not is not read again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def escape_stars(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """A shape such as (..., *) is no emphasis."""
    lines[:] = [line.replace("(..., *)", "``(..., *)``") for line in lines]


def skip_routing(
    app: Sphinx, what: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """scikit-learn adds ``set_fit_request`` and the like, with words for its own pages."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> None:
    app.add_directive("public", Public)
    app.connect("builder-inited", write_gallery)
    app.connect("autodoc-process-docstring", escape_stars)
    app.connect("autodoc-skip-member", skip_routing)
    app.connect("build-finished", bring_mathjax)
