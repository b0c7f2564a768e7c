"""Words in a picture: names that stand there as they are."""

from __future__ import annotations


def plain(name: str) -> str:
    """A user's name as Matplotlib is to draw it: what stands between two ``$`` is no formula."""
    return name.replace("$", r"\$")
