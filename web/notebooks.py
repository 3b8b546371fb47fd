"""A notebook as a page of Markdown: what a reader sees, no directives, links that lead within the site."""
import hashlib
import io
import os
import re
from pathlib import Path

from nbconvert import MarkdownExporter
from nbconvert.preprocessors import Preprocessor
from nbformat.v4 import new_markdown_cell
from PIL import Image
from traitlets import Any

from project import Notebook, source_of

LONG = 16      # rows of a table that is folded
DIRECTIVE = re.compile(r"^#\|.*\n?", re.M)
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+?)(#[^)\s]*)?\)")
EQUATION = re.compile(r"^(\$\$.+?\$\$)$", re.M | re.S)     # Markdown wants it apart from the words
BADGE = re.compile(r"\[!\[Open in Colab\].*?\]\(.*?\)\n*")


def linked(
    text:str,        # Markdown
    at:Path,         # the file it stands in: what its links start from
    page:str,        # where the site has it
    out:Path,        # folder of the site's pages, for pictures
    places:dict,     # pages by file: Path: "library/rules.md"
) -> str:
    """Links to notebooks lead to their pages, those to other files of the project to its address;
    pictures are brought along. ValueError for a link that leads nowhere."""
    up = "../" * page.count("/")
    def lead(found):
        words, target, anchor = found[1], found[2], (found[3] or "").lower()    # as Markdown has it
        if re.match(r"[a-z]+:|#", target): return found[0]
        path = Path(os.path.normpath(at.parent / target))
        if words.startswith("!"): return f"{words}({up}{kept(Image.open(path), out)})"
        if path in places:
            to = os.path.relpath(places[path], Path(page).parent)
            return f"{words}({Path(to).as_posix()}{anchor})"
        if not path.exists(): raise ValueError(f"{at} has a link to {target}, which is not there")
        return f"{words}({source_of(path)}{anchor})"
    return LINK.sub(lead, text)


class _Reader(Preprocessor):
    "Leaves what is for a reader."
    notebook, at, out, places = Any(), Any(), Any(), Any()

    def preprocess(self, nb, resources):
        executed = any("injected-parameters" in c.metadata.get("tags", ()) for c in nb.cells)
        cells = [cell for cell in nb.cells if not self.unseen(cell, executed)]
        if executed: _without_first_picture(cells)      # it stands above, larger
        for cell in cells:
            if cell.cell_type == "markdown":
                text = EQUATION.sub(r"\n\1\n", BADGE.sub("", cell.source))
                cell.source = linked(text, self.at, self.notebook.page, self.out, self.places)
            else:
                cell.source = DIRECTIVE.sub("", cell.source).strip("\n")
                cell.outputs = [clean for o in cell.outputs if (clean := _output(o))]
        nb.metadata["language_info"] = dict(name="python")      # which our own, cleaned, do not say
        nb.cells = [_folded(cell) for cell in cells if cell.source.strip()]
        return nb, resources

    @staticmethod
    def unseen(cell, executed) -> bool:
        "Front matter, what is hidden, and parameters that others replaced."
        if cell.cell_type == "raw": return True
        if cell.cell_type == "markdown": return cell.source.startswith("---\n")
        return bool(re.search(r"^#\|\s*(hide|default_exp)\b", cell.source, re.M)
                    or executed and "parameters" in cell.metadata.get("tags", ()))


def _without_first_picture(cells) -> None:
    for cell in cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                cell.outputs.remove(output)
                return


def _output(output):
    "Without what pandas puts around a table, and without the name of a picture."
    if output.output_type == "stream": return None
    data = output.get("data", {})
    if "text/html" in data:
        table = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S)
        # a blank line would end the table for Markdown
        table = re.sub(r"\n\s*\n", "\n", re.sub(r' (border|style)="[^"]*"', "", table))
        if (rows := table.count("<tr>")) > LONG:
            table = f"<details><summary>a table of {rows} rows</summary>\n{table}\n</details>"
        data["text/html"] = table
        data.pop("text/plain", None)
    if "image/png" in data: data.pop("text/plain", None)
    return output if data else None


def _folded(cell):
    "Imports alone are folded away."
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if cell.cell_type != "code" or len(lines) < 3: return cell
    if not all(re.match(r"(import|from|%\w+|\s|\)|#)", line) for line in lines): return cell
    return new_markdown_cell('<details markdown="1" class="imports"><summary>imports</summary>\n\n'
                             f"```python\n{cell.source}\n```\n\n</details>")


def markdown(
    notebook:Notebook,    # whose links and place count
    places:dict,          # pages by file
    out:Path,             # folder of the site's pages
    executed:Notebook|None=None,    # the same with its outputs
) -> str:
    "The page, its pictures written into the folder."
    exporter = MarkdownExporter(
        preprocessors=[_Reader(notebook=notebook, at=(executed or notebook).path, out=out,
                               places=places, enabled=True)])
    text, resources = exporter.from_notebook_node((executed or notebook).content)
    up = "../" * notebook.page.count("/")
    for name, data in resources["outputs"].items():
        text = text.replace(f"]({name})", f"]({up}{kept(Image.open(io.BytesIO(data)), out)})")
    return re.sub(r"!\[png\]", "![]", text)


def kept(picture:Image.Image, out:Path) -> str:
    "A picture as a file, once, however many pages show it; its place within the site."
    data = io.BytesIO()
    picture.convert("RGB").save(data, "webp", lossless=True)       # two thirds of a PNG
    name = f"pictures/{hashlib.sha256(data.getvalue()).hexdigest()[:16]}.webp"
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(data.getvalue())
    return name
