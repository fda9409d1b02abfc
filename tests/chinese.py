"""How Chinese text is set: what docs/style.md asks for, as far as a program can tell."""

import re

HAN = re.compile(r"[\u4e00-\u9fff]")
_HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!]|[,;:?!] ?[\u4e00-\u9fff]")
_NO_SPACE = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9%][\u4e00-\u9fff]")


def flaws(text: str) -> list[str]:
    """Half-width punctuation, missing spaces beside Latin text, and 您."""
    found = [match[0] for rule in (_HALF_WIDTH, _NO_SPACE) for match in rule.finditer(text)]
    return found + ["您"] * text.count("您")


def prose(markdown: str) -> str:
    """A document without its code and the targets of its links."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "0", text))
