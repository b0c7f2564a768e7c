"""Words in a picture: names that stand there as they are, and shares that stay true."""

from __future__ import annotations


def plain(name: str) -> str:
    """A user's name as Matplotlib is to draw it: what stands between two ``$`` is no formula."""
    return name.replace("$", r"\$")


def in_percent(share: float) -> str:
    """A share in whole percent; what is not none of all is not 0, and what is not all not 100."""
    text = f"{100 * share:.0f}"
    if text == "0" and share > 0:
        return "under 1"
    if text == "100" and share < 1 - 1e-9:
        return "over 99"
    return text
