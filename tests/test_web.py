"""What the web site is made from; the site itself in a browser: web/test_site.py (`make test-site`)."""
import sys
from pathlib import Path

import pandas as pd
import pytest

from rnnbio.rules.rules import get_rule

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "web"))
import explorer
import notebooks
import pages
import project


@pytest.mark.parametrize("path", sorted(ROOT.glob("figures/paper/*/*.csv")), ids=lambda p: p.stem)
def test_tables_tell_networks_apart(path):
    "No two rows of one seed are taken for two seeds, and what is shown is in the table."
    table = pd.read_csv(path, low_memory=False)
    found = explorer.summary(table)
    seeds = table["seed"].nunique() if "seed" in table else 1
    assert found["measures"] and all(len(levels) < 25 for levels in found["levels"])
    for name, measure in found["measures"].items():
        columns = [measure[k] for k in ("median", "low", "high", "n")] + measure["of"]
        sizes = {*map(len, columns)}
        assert len(sizes) == 1 and max(measure["n"]) <= seeds, name


def test_medians_are_over_seeds():
    table = pd.DataFrame([dict(rule=rule, gain=gain, seed=seed, step=step, loss=seed + 10 * gain,
                               learned=seed > 1)
                          for rule in ("bptt", "eprop") for gain in (.5, 1.) for seed in range(3)
                          for step in (0, 1, 2)])
    found = explorer.summary(table)
    assert (found["dims"], found["axis"]) == (["rule", "gain"], "training step")
    loss, learned = found["measures"]["loss"], found["measures"]["learned: share of networks"]
    assert set(loss["median"]) == {6., 11.} and set(loss["n"]) == {3}
    assert set(learned["median"]) == {.3333} and learned["share"] and not loss["share"]
    with pytest.raises(ValueError, match="are not told apart"):
        explorer.summary(table.drop(columns="rule"))


def test_a_page_has_no_directives_and_its_links_lead_to_pages(tmp_path):
    places = pages.places()
    rules = next(n for n in project.library()["rules"] if n.module == "rules.rules")
    text = notebooks.markdown(rules, places, tmp_path)
    assert text.startswith("# Learning rules") and "#| export" not in text
    assert "(gradient.md)" in text and "(glossary.md#references)" in text
    assert "\n\n$$ c_t" in text and "class Rule" in text and "test_fail" not in text
    with pytest.raises(ValueError, match="has a link to nowhere.md"):
        notebooks.linked("[x](nowhere.md)", rules.path, rules.page, tmp_path, places)


def test_a_figure_page_says_what_became_of_its_claims(tmp_path):
    figure = next(f for f in project.figures()["zhang2024"] if f.facts)
    text = pages.figure_page(figure, pages.places(), tmp_path)
    assert f"make {figure.name} PROFILE=paper" in text and "reproduced</span>" in text
    assert text.index(".webp)") < text.index("## Claims and verdicts") < text.index("fig = Figure(")
    assert len([*(tmp_path / "pictures").iterdir()]) >= 1


def test_the_reference_has_what_docments_say():
    text = "\n".join(pages.entry("get_rule", get_rule))
    assert "| `**changes` |  |  | fields of the row" in text
    assert "```python\nget_rule(rule, **changes)\n```" in text
