"""Is this commit a release? Then what it takes, into _release (`make release`).

What is checked: nothing uncommitted; version and date agree in settings.ini, CHANGELOG.md and
CITATION.cff; REPORT.md says what its figures say; no figure was made from uncommitted changes.
What is written: the tag's words, and the runs behind the paper profile's figures that lie in the
results (RNNBIO_RESULTS), as one archive with its checksum, for Zenodo or the like. Publishing
stays with a person: the commands are printed.
"""
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import yaml

from rnnbio.figures.report import report_text
from rnnbio.sweeps.archive import keys_needed, pack
from rnnbio.sweeps.store import Store
from rnnbio.sweeps.sweep import sweep_of

ROOT = Path(__file__).resolve().parent.parent
OUT, REPORT = ROOT / "_release", ROOT / "figures/paper/REPORT.md"


def version() -> str:
    settings = ConfigParser()
    settings.read(ROOT / "settings.ini")
    return settings["DEFAULT"]["version"]


def news(version:str) -> tuple[str, str]:
    "Date and text of the version's section of the changelog."
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)} \((.+?)\)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return (found[1], found[2].strip()) if found else ("", "")


def facts() -> list[dict]:
    "What is known of each figure of the paper profile."
    return [json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(ROOT.glob("figures/paper/*/fig*.json"))]


def faults(version:str, figures:list[dict]) -> list[str]:
    "What stands against a release, in words that say what to do."
    git = lambda *words: subprocess.run(["git", "-C", ROOT, *words], capture_output=True,
                                        text=True, check=True).stdout.strip()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    day, found = news(version)[0], []
    if git("status", "--porcelain"): found.append("there are uncommitted changes: commit them")
    if f"v{version}" in git("tag").split():
        found.append(f"v{version} is tagged already: raise the version in settings.ini")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        found.append(f"CHANGELOG.md must have a section '## {version} (YYYY-MM-DD)', "
                     f"got {day or 'none'}")
    if (str(citation["version"]), str(citation["date-released"])) != (version, day):
        found.append(f"CITATION.cff must have version {version} and the changelog's date, got "
                     f"{citation['version']} and {citation['date-released']}")
    if REPORT.read_text(encoding="utf-8") != report_text(ROOT):
        found.append("REPORT.md is not what its figures say: make report")
    dirty = [made["figure"] for made in figures if made.get("dirty")]
    if dirty: found.append(f"made from uncommitted changes, to be made again: {', '.join(dirty)}")
    return found


def runs(version:str, figures:list[dict]) -> str:
    "Write the archive of the figures' runs; what it holds, in words."
    store, keys, told = Store(), set(), []
    for made in figures:
        try: here, missing = keys_needed([sweep_of(sweep) for sweep in made["sweeps"]], store)
        except (OSError, ValueError) as e:              # its data are not here
            told.append(f"{made['figure']}: {str(e)[:160]}")
            continue
        keys |= {*here}
        if missing: told.append(f"{made['figure']}: {len(missing)} runs are not in {store.root}")
    lines = ["", "not in it:", *told] if told else []
    if not keys: return "\n".join(["no runs", *lines])
    path = OUT / f"rnnbio-{version}-runs.tar"
    checksum = pack(path, sorted(keys))
    (OUT / "CHECKSUMS").write_text(f"{checksum}  {path.name}\n", encoding="utf-8")
    size = path.stat().st_size / 1e6
    return "\n".join([f"{path.name}: {len(keys)} runs, {size:.0f} MB, {checksum}", *lines])


def main() -> int:
    number, figures = version(), facts()
    found = faults(number, figures)
    OUT.mkdir(exist_ok=True)
    (OUT / "tag.txt").write_text(f"rnnbio {number}\n\n{news(number)[1]}\n", encoding="utf-8")
    print(runs(number, figures))
    if found:
        print("\n".join([f"not ready to be released as {number}:", *(f"- {f}" for f in found)]))
        return 1
    print(f"ready. To publish it: git tag -a v{number} -F _release/tag.txt && "
          f"git push origin v{number}, then upload the archive")
    return 0


if __name__ == "__main__": sys.exit(main())
