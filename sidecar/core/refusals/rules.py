"""What a rule is, the small language its phrases are written in, and the words for windows that rules share.

Only the form: which codes mean what is `codes.py`, which phrases mean what is `phrases.py` and `loose_words.py`, the
order in which they are asked and what becomes of an answer is `classify.py`. Texts are compared in lower case, one
message per line; codes in snake_case, numbers as `family:number`. Every expression runs in linear time: no repetition
inside a repetition, every gap bounded.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from sidecar.core.failure import Kind, Scope

_CLIENT_ERROR, _SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reading of a refusal; everything given must fit.

    `codes` is searched in each code, `text` in the text; `unless` is searched in the text and forbids the rule.
    `families`, `not_families` and `statuses` restrict it. `below_500` keeps a phrase from overruling a server's own
    failure, `unanswered` keeps it to attempts that no HTTP error answered. `scope` None means: by kind, see
    `classify.py`. `fixed` keeps window words and the named wait from moving it between rate_limit and quota.
    """

    name: str
    kind: Kind
    why: str
    codes: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    families: frozenset[str] = frozenset()
    not_families: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    scope: Scope | None = None
    fixed: bool = False
    below_500: bool = False
    unanswered: bool = False

    def fits(self, codes: Collection[str], text: str, status: int | None, families: Collection[str]) -> bool:
        """Say whether this rule speaks of a refusal with these codes, this text, status and these families."""
        return (
            self._allows(status, families)
            and (self.codes is None or any(self.codes.search(code) for code in codes))
            and (self.text is None or self.text.search(text) is not None)
            and (self.unless is None or self.unless.search(text) is None)
        )

    def _allows(self, status: int | None, families: Collection[str]) -> bool:
        if self.families and self.families.isdisjoint(families):
            return False
        if not self.not_families.isdisjoint(families) or (self.statuses and status not in self.statuses):
            return False
        if status is None:
            return True
        return not ((self.unanswered and status >= _CLIENT_ERROR) or (self.below_500 and status >= _SERVER_ERROR))


def codes(*alternatives: str) -> re.Pattern[str]:
    """Compile regular expressions for codes, one line of a table each, into one."""
    return re.compile("|".join(alternatives))


def phrases(*alternatives: str) -> re.Pattern[str]:
    """Compile phrases, one line of a table each, into one expression.

    A phrase is a regular expression of whole words in which a space is also an underscore or a hyphen, ` .. ` is a gap
    of up to 24 characters and ` ... ` one of up to 64, both within a line, `*` the rest of a word, `^` and `$` the ends
    of a line, and `(` does not capture.
    """
    return re.compile("|".join(_phrase(alternative) for alternative in alternatives), re.MULTILINE)


def _phrase(written: str) -> str:
    expression = ""
    for piece in re.split(r"( \.\.\.? )", written):
        if piece.startswith(" .."):
            expression += ".{0,64}?" if piece == " ... " else ".{0,24}?"
        else:
            body = re.sub(r"\((?!\?)", "(?:", piece).replace(" ", "[ _-]").replace("*", "[a-z]{0,12}")
            end = "" if piece.endswith("*") else "(?![a-z])"
            expression += f"(?<![a-z0-9])(?:{body}){end}"
    return expression


def any_of(*patterns: re.Pattern[str] | str) -> re.Pattern[str]:
    """Join expressions into one that fits where any of them does."""
    return re.compile("|".join(one if isinstance(one, str) else one.pattern for one in patterns), re.MULTILINE)


MINUTE_WORDS = any_of(
    phrases(r"(per|each|every|a) (minute|second|min|sec)s?", r"(rpm|tpm|rps|tps|qps|qpm|itpm|otpm|ipm)"),
    r"/ ?(?:minute|second|min|sec|s)\b|perminute|persecond|每(?:分钟|秒)",
)
"""A limit of seconds or a minute."""

DAY_WORDS = any_of(
    phrases(
        r"(per|a|one|the|this|each) day",
        r"(daily|rpd|tpd|today|tomorrow)",
        r"24 ?h(ou)?rs?",
        r"day('?s)? (limit|quota|allocated)",
    ),
    r"/ ?day\b|perday|今日|每日|当日|每天|当天",
)
"""A limit of a day."""

LONG_WORDS = any_of(
    DAY_WORDS,
    phrases(
        r"(weekly|monthly)",
        r"hourly (usage|limit|quota|cap)",
        r"(per|this|a|the|each|next) (week|month|(billing |usage )?period|(billing |usage )?cycle)",
        r"billing (cycle|period)",
        r"(seven|7) days?",
        r"(\d{1,3}|five|one) ?h(ou)?rs? (usage |session |plan |rolling )?(limit|usage|session|window|quota)",
        r"limit\w{0,10} (\w{1,12} )?for \d{1,3} ?h(ou)?rs?",
        r"session (usage )?limit*",
        r"(five hour|5h)",
        r"(hour|week|month) allocated",
        r"premium (model )?(request|interaction|model)s?",
    ),
    r"/ ?(?:week|month)\b|每周|每月|本周|本月|小时.{0,12}(?:上限|限额|额度)",
)
"""A limit of hours and more: a plan's window, a day, a week, a month."""
