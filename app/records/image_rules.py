"""Which images are kept: `all`, `review`, `every:N` or `none`, by model."""

import re
from dataclasses import dataclass, field
from typing import Final

from model.verdict import Decision

_RULE: Final = re.compile(r"all|review|none|every:([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Rule:
    """all: every one; review: what wasn't accepted; every: one in `every` of all; none."""

    name: str = "none"
    every: int = 1

    @staticmethod
    def of(text: str) -> "Rule":
        """Raises ValueError."""
        found = _RULE.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no rule: all, review, every:N or none")
        return Rule("every", int(found[1])) if found[1] else Rule(text)


@dataclass
class ImageRules:
    """One rule for all models, and others for some: `review,capsule=all,grid=every:100`."""

    default: Rule = field(default_factory=Rule)
    by_model: dict[str, Rule] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(text: str) -> "ImageRules":
        """Raises ValueError."""
        rules, default = {}, None
        for each in filter(None, (piece.strip() for piece in text.split(","))):
            model, equals, rule = each.rpartition("=")
            if equals:
                if model in rules:
                    raise ValueError(f"{model} is there twice")
                rules[model] = Rule.of(rule)
            elif default is not None:
                raise ValueError(f"{default} and {rule}: one rule for all models, and MODEL=RULE for others")
            else:
                default = Rule.of(rule)
        return ImageRules(default or Rule(), rules)

    @property
    def keep_any(self) -> bool:
        return any(rule.name != "none" for rule in (self.default, *self.by_model.values()))

    def keeps(self, model: str, decision: Decision) -> bool:
        """Whether this image is kept; to be asked once for each."""
        rule = self.by_model.get(model, self.default)
        if rule.name == "every":
            self._seen[model] = seen = self._seen.get(model, -1) + 1
            return seen % rule.every == 0
        return rule.name == "all" or (rule.name == "review" and decision != "accept")
