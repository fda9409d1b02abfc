"""Draw docs/architecture.svg: the packages, from the imports between them (`make picture`).

The rows are those of the layers contract in pyproject.toml, the captions the packages' docstrings,
the tags the libraries that a contract reserves for a package. An arrow is an import; one that
follows from others is left out.
"""

import ast
import tomllib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "rmbg_service"
LIBRARIES = {
    "av": "PyAV",
    "fastapi": "FastAPI",
    "mcp": "MCP SDK",
    "onnxruntime": "ONNX Runtime",
    "ray": "Ray",
    "torch": "PyTorch",
}

WIDTH, MARGIN = 800, 20
BOX_WIDTH, BOX_HEIGHT = 620, 48
GAP, SIBLING_GAP = 14, 4

STYLE = """
  svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --box: #f6f8fa; --line: #d1d9e0;
        --arrow: #6639ba; --tag: #ddf4ff; --tag-ink: #0550ae; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --box: #151b23; --line: #3d444d;
          --arrow: #ab7df8; --tag: #0c2d6b; --tag-ink: #a5d6ff; }
  }
  text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink); }
  .paper { fill: var(--paper); }
  .box { fill: var(--box); stroke: var(--line); }
  .name { font-size: 16px; font-weight: 600; }
  .caption { font-size: 13px; fill: var(--soft); }
  .tag { fill: var(--tag); }
  .library { font-size: 12px; fill: var(--tag-ink); text-anchor: middle; }
  .arrow { fill: none; stroke: var(--arrow); stroke-width: 1.5; marker-end: url(#head); }
  .head { fill: var(--arrow); }
"""


def contracts() -> list[dict[str, Any]]:
    """The import contracts of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return found


def layers() -> list[list[str]]:
    """The packages and top-level modules, uppermost first, siblings together."""
    (contract,) = (each for each in contracts() if each.get("containers") == [PACKAGE])
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def is_package(name: str) -> bool:
    """Whether it is a folder; settings, types and errors are modules that all may use."""
    return (ROOT / "src" / PACKAGE / name).is_dir()


def caption(name: str) -> str:
    """The first line of a package's docstring."""
    source = (ROOT / "src" / PACKAGE / name / "__init__.py").read_text("utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return docstring.partition("\n")[0].replace("`", "").removesuffix(".")


def direct_imports(graph: grimp.ImportGraph, names: list[str]) -> dict[str, set[str]]:
    """Which of the packages each of them imports."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for module in graph.find_descendants(PACKAGE):
        importer = module.split(".")[1]
        for imported in graph.find_modules_directly_imported_by(module):
            parts = imported.split(".")
            if parts[0] == PACKAGE and len(parts) > 1 and importer in found:
                found[importer] |= {parts[1]} & found.keys() - {importer}
    return found


def without_implied(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports without those that follow from others (the transitive reduction)."""

    def reached(name: str) -> set[str]:
        return imports[name].union(*(reached(below) for below in imports[name]))

    return {
        name: below - set().union(*(reached(other) for other in below))
        for name, below in imports.items()
    }


def reserved_libraries(graph: grimp.ImportGraph, name: str) -> list[str]:
    """What only this package, or only few, may import."""
    reserved = {lib for each in contracts() for lib in each.get("forbidden_modules", [])}
    modules = {f"{PACKAGE}.{name}", *graph.find_descendants(f"{PACKAGE}.{name}")}
    used = {lib for module in modules for lib in graph.find_modules_directly_imported_by(module)}
    return sorted(LIBRARIES[lib] for lib in reserved & used & LIBRARIES.keys())


def draw() -> str:
    """The picture as SVG."""
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    rows = [[name for name in layer if is_package(name)] for layer in layers()]
    base = [name for layer in layers() for name in layer if not is_package(name)]
    names = [name for row in rows for name in row]
    tops: dict[str, int] = {}
    y = MARGIN
    for row in filter(None, rows):
        for name in row:
            tops[name] = y
            y += BOX_HEIGHT + SIBLING_GAP
        y += GAP - SIBLING_GAP
    parts = [
        _box(name, tops[name], caption(name), reserved_libraries(graph, name)) for name in names
    ]
    parts.append(
        _box(
            ", ".join(base),
            y,
            "What an operator sets, arrays and small values, what can go wrong",
            [],
        )
    )
    parts += _arrows(without_implied(direct_imports(graph, names)), tops)
    height = y + BOX_HEIGHT + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">',
            '<title id="title">The packages of rmbg-service and which imports which</title>',
            f"<style>{STYLE}</style>",
            '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto" markerUnits="userSpaceOnUse">'
            '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker>',
            f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _box(name: str, top: int, says: str, libraries: list[str]) -> str:
    left = MARGIN
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    parts = [
        f'<rect class="box" x="{left}" y="{top}" {size} rx="6"/>',
        f'<text class="name" x="{left + 14}" y="{top + 20}">{escape(name)}</text>',
        f'<text class="caption" x="{left + 14}" y="{top + 38}">{escape(says)}</text>',
    ]
    right = left + BOX_WIDTH - 12
    for library in reversed(libraries):
        width = 7 * len(library) + 18
        right -= width
        parts += [
            f'<rect class="tag" x="{right}" y="{top + 13}" width="{width}" height="22" rx="11"/>',
            f'<text class="library" x="{right + width / 2:g}" y="{top + 28}">{library}</text>',
        ]
        right -= 6
    return "\n".join(parts)


def _arrows(imports: dict[str, set[str]], tops: dict[str, int]) -> list[str]:
    """Arcs on the right, the long ones around the short ones."""
    order = list(tops)
    ends: dict[tuple[str, str], list[float]] = {}
    for name in order:
        from_above = sorted((above for above in order if name in imports[above]), key=order.index)
        below = sorted(imports[name], key=order.index, reverse=True)
        arcs = [(above, name) for above in reversed(from_above)] + [(name, each) for each in below]
        for place, arc in enumerate(arcs, 1):
            at = tops[name] + BOX_HEIGHT * place / (len(arcs) + 1)
            ends.setdefault(arc, []).append(at)
    x = MARGIN + BOX_WIDTH
    parts = []
    for (importer, imported), both in sorted(ends.items(), key=lambda item: item[1]):
        start, end = sorted(both)
        bulge = x + 14 + 17 * (order.index(imported) - order.index(importer))
        parts.append(
            f'<path class="arrow" d="M{x} {start:.1f} C{bulge} {start:.1f} {bulge} {end:.1f} '
            f'{x + 1} {end:.1f}"><title>{importer} imports {imported}</title></path>'
        )
    return parts


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
