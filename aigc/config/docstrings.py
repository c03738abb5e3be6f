"""Help texts that docstrings hold."""


def argument_docs(doc: str) -> dict[str, str]:
    """Return the text of each parameter in the `Args:` section of a Google docstring."""
    docs: dict[str, str] = {}
    lines = iter(doc.expandtabs().splitlines())
    for line in lines:
        if line.strip() == "Args:":
            break
    current, indent = "", None
    for line in lines:
        if not line.strip():
            break
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        if depth == 0:
            break
        if depth == indent and ":" in line:
            name, _, text = line.strip().partition(":")
            current = name.split(" ")[0].lstrip("*")
            docs[current] = text.strip()
        elif current:
            docs[current] += " " + line.strip()
    return docs
