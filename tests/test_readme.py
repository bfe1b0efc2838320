"""What the README prints is what the package says and does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cbirlab.aggregation import AGGREGATIONS
from cbirlab.cli.listing import markdown

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_what_is_inside_is_the_registries():
    inside = re.search(r"<!-- inside:begin.*?-->\n(.*?)<!-- inside:end -->", README, flags=re.DOTALL)
    assert inside is not None
    assert inside.group(1).strip() == markdown().strip(), "write it again: cbirlab list --markdown"


def test_the_example_of_a_pooling_method_registers_one():
    import torch

    code = next(block for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if "@pooling" in block)
    try:
        exec(code, {})
        maps = torch.tensor([[[[1.0, 4.0]]]])
        torch.testing.assert_close(AGGREGATIONS["power"](maps, alpha=0.5), torch.tensor([[1.5]]))
    finally:
        AGGREGATIONS.remove("power")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_into_the_repository_lead_somewhere(link: str):
    assert (Path(__file__).parent.parent / link).exists()
