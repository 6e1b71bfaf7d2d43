"""What MkDocs cannot know by itself: pages made from the program, formulas, files beside docs/.

Named under `hooks` in mkdocs.yml. Made while building: the reference of the commands, from the commands
themselves; the list of decisions, from their titles; the changelog; and for each percent script of
`examples/` its page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from fourfold.cli.main import app

ROOT: Final = Path(__file__).parent.parent
_FORMULA: Final = re.compile(r"\$\$(.+?)\$\$|\$(\S(?:[^$\n]*?\S)?)\$", re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, not written."""
    package = ROOT / "src" / "fourfold"
    made = {
        "site/icon.svg": (package / "server" / "page" / "icon.svg").read_text(encoding="utf-8"),
        **{
            f"site/{name}": (package / "bundled" / "demo" / name).read_text(encoding="utf-8")
            for name in ("slider.css", "slider.js")
        },
        "reference/commands.md": commands_page(),
        "decisions/index.md": decisions_page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "tutorials/from-scratch.md": script_page(ROOT / "examples" / "srgan_from_scratch.py"),
    }
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Formulas of pages that say `math: true` become MathML, which browsers draw without a script."""
    if not page.meta.get("math"):
        return markdown
    return _FORMULA.sub(_formula, markdown)


def _formula(found: re.Match[str]) -> str:
    """MathML; what is wider than a telephone scrolls, so it must be within the keyboard's reach."""
    if found[2]:
        return convert(found[2], display="inline")
    return convert(found[1], display="block").replace("<math", '<math tabindex="0"', 1)


def decisions_page() -> str:
    """All decisions by number."""
    lines = ["# Decisions", "", "Why things are as they are, half a page each.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        words = re.sub(r"^\d+\.? ", "", title)
        lines.append(f"- {int(path.name[:4])}: [{words}]({path.name})")
    return "\n".join(lines)


def script_page(path: Path) -> str:
    """A percent script as a page: comments of `# %% [markdown]` cells are text, the rest is code."""
    parts = []
    for cell in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            parts.append(re.sub(r"^# ?", "", body, flags=re.M).strip())
        elif body.strip():
            parts.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(parts)


def commands_page() -> str:
    """Every command with its options, read from the program."""
    lines = [
        "# Commands",
        "",
        "What `--help` says, on one page. The abbreviation in capitals is the value.",
        "",
    ]
    lines += _command(typer.main.get_command(app), "fourfold")
    return "\n".join(lines)


def _command(command: Any, name: str) -> Iterator[str]:
    """The section of a command and those below it."""
    below = getattr(command, "commands", {})
    if name != "fourfold":
        yield f"## `{name}`\n"
    text = (command.help or "").replace("\f", "")
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```\n{paragraph[1:].strip()}\n```\n"
        else:
            yield f"{' '.join(paragraph.split())}\n"
    options = [option for option in command.params if not getattr(option, "hidden", False)]
    panels = dict.fromkeys(getattr(option, "rich_help_panel", None) for option in options)
    for panel in () if below and name != "fourfold" else panels:
        yield f"{panel or 'Every day' if len(panels) > 1 else 'Options'}:\n"
        yield "| name | what it does |\n|---|---|"
        for option in options:
            if getattr(option, "rich_help_panel", None) == panel:
                yield _option(option)
        yield ""
    for word, child in below.items():
        yield from _command(child, f"{name} {word}")


def _option(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    value = option.metavar or ""
    if option.param_type_name == "argument":
        shown = f"`{value or option.name.upper()}`"
    else:
        shown = ", ".join(f"`{name}`" for name in names)
        if not getattr(option, "is_flag", False):
            shown += f" {value or option.name.upper()}"
    words = " ".join((getattr(option, "help", None) or "").split()).replace("|", "\\|")
    default = option.default
    if (
        getattr(option, "show_default", False)
        and isinstance(default, (str, int, float))
        and default not in (False, "")
    ):
        words += f" Default: `{default}`."
    return f"| {shown} | {words} |"
