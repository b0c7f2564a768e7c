"""The page on the command line: its commands run in order and print what it says they print."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.interface.test_cli import main
from tests.whole.test_examples import ROOT, words

__all__ = ["main"]

_BLOCK = re.compile(r"```(python|sh|text)\n(.*?)```", re.DOTALL)


def said(text):
    """Words, whatever the width of the table that a rule is drawn across: numbers set it."""
    return words(re.sub("─+", "─", text))


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(tmp_path, main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace, printed, refused = {"__name__": "page"}, "", 0
    for kind, body in _BLOCK.findall((ROOT / "docs" / "command_line.md").read_text()):
        if kind == "python":
            exec(body, namespace)
        elif kind == "text":
            assert said(printed) == said(body)
        else:
            printed = ""
            for line in body.splitlines():
                first, *arguments = shlex.split(line, comments=True)
                if first != "bayesgmm":
                    printed += subprocess.run(
                        line, shell=True, capture_output=True, text=True
                    ).stdout
                elif "--install-completion" not in arguments:
                    code, out, err = main(*arguments)
                    printed += out + err
                    refused += code == 2
                    assert code == 0 or "cannot be used as it is" in err
    assert refused == 1
    made = {"fit.nc", "labels.csv", "new.csv", "full.csv", "fit.png"}
    assert made <= {path.name for path in Path().iterdir()}
