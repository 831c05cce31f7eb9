import pytest

from app.records.image_rules import ImageRules
from model.verdict import Decision

DECISIONS: list[Decision] = ["accept", "review", "reject", "accept", "accept", "accept"]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("all", "111111"),
        ("none", "000000"),
        ("review", "011000"),
        ("every:3", "100100"),
        ("none, widget=every:2", "101010"),
        ("all,widget=none", "000000"),
        ("gadget=all", "000000"),
        ("", "000000"),
    ],
)
def test_rule(rules: str, kept: str) -> None:
    held = ImageRules.of(rules)
    for _ in range(3):
        held.keeps("gadget", "accept")  # a model's count is its own
    assert "".join(str(int(held.keeps("widget", decision))) for decision in DECISIONS) == kept


@pytest.mark.parametrize("rules", ["some", "every", "every:0", "every:x", "all,none", "w=all,w=none", "w=", "all,="])
def test_wrong_rule(rules: str) -> None:
    with pytest.raises(ValueError, match=r"no rule|twice|one rule"):
        ImageRules.of(rules)
