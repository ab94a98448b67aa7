"""One comment to its parts: sentences long enough to say something of their own.

Sentence boundaries come from sentencex (Wikimedia, MIT), which knows the abbreviations of some 240 languages.
"""

from __future__ import annotations

import re

from feedback_loop.analysis.language import detect

SHORTEST_PART = 5
"""Words of a part. Shorter ones ("please help", "why is this?") name no problem, and grouped by themselves they
lowered the adjusted Rand index of the whole by 0.05."""

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def split(text: str, language: str | None = None) -> list[str]:
    """Return the parts of a comment.

    Args:
        text: the comment, after redaction.
        language: language tag such as ``en`` or ``pt-BR``; an unknown one is split by general rules. Without it the
            language is detected, and taken for English where that is not sure.

    Returns:
        The sentences of at least five words in their order, without repetitions. Empty unless the comment has two
        sentences or more; never a part equal to the whole comment.
    """
    from sentencex import segment  # type: ignore[import-untyped,unused-ignore]

    whole = text.strip()
    if len(_WORD.findall(whole)) <= SHORTEST_PART:  # too few for a part beside another sentence
        return []
    tag = re.split(r"[-_]", (language or detect(whole) or "en").strip().lower(), maxsplit=1)[0]
    sentences = [
        sentence.strip()
        for line in whole.splitlines()
        if line.strip()
        for sentence in segment(tag, line)
        if _WORD.search(sentence)
    ]
    if len(sentences) < 2:
        return []
    parts = dict.fromkeys(s for s in sentences if len(_WORD.findall(s)) >= SHORTEST_PART)
    return [part for part in parts if part != whole]
