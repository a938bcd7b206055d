"""docs/operations.md tells what to do about every text that the program may show."""

import re
import sys

import pytest

from ferry_harness import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import list_messages  # noqa: E402

DOCUMENTS = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
OPERATIONS = (REPOSITORY / "docs/operations.md").read_text()
SECTIONS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^###? |\Z)",
                           OPERATIONS.partition("\n## Error messages\n")[2], re.M | re.DOTALL))


def listed(section):
    return re.findall(r"^- `(.*)`$", section, re.M)


def test_every_message_has_a_section():
    known = {text for section in SECTIONS.values() for text in listed(section)}
    missing = {text: files for text, files in list_messages.all_messages().items()
               if text not in known}
    assert not missing, "put these into a section of docs/operations.md:\n" + "\n".join(
        f"- `{text}`  ({', '.join(files)})" for text, files in missing.items())


def test_no_section_tells_of_messages_that_are_gone():
    texts = list_messages.all_messages()
    gone = [text for section in SECTIONS.values() for text in listed(section) if text not in texts]
    assert not gone, "take these out of docs/operations.md:\n" + "\n".join(gone)


def test_every_section_tells_what_to_do_and_no_message_has_two():
    for title, section in SECTIONS.items():
        assert len(section.partition("\n- `")[0].split()) > 10, title
    everything = [text for section in SECTIONS.values() for text in listed(section)]
    assert len(everything) == len(set(everything))


def test_messages_are_found_where_they_are_made(tmp_path):
    source = tmp_path / "src" / "sftp" / "x.cpp"
    source.parent.mkdir(parents=True)
    source.write_text('auto e = make_error(kIo, "{}: {} is "\n   "broken", a, b);  // "no comment"\n'
                      'log::error("gave up", {{"reason of it", why}}); f("it is {{so}}", "x");')
    root = list_messages.ROOT
    try:
        list_messages.ROOT = tmp_path
        assert list_messages.messages_of(source) == ["…: … is broken", "gave up", "it is {so}"]
    finally:
        list_messages.ROOT = root


def anchors(path):
    titles = re.findall(r"^#+ (.*)$", re.sub(r"(?s)```.*?```", "", path.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_alerts_lead_to_a_runbook():
    rules = (REPOSITORY / "docs/prometheus/ferry.rules.yml").read_text()
    for name, anchor in re.findall(r'runbook: "(.*?)#(.*?)"', rules):
        assert anchor in anchors(REPOSITORY / name), anchor


def commands_in(text):
    """Each `ferry COMMAND …` that a document shows, as (command, its options)."""
    code = "\n".join(re.findall(r"(?s)```sh\n(.*?)```", text) + re.findall(r"`(ferry [^`\n]+)`", text))
    for line in re.findall(r"\bferry ((?:[a-z]+\b)[^\n&|#;]*)", code.replace("\\\n", " ")):
        yield line.split()[0], re.findall(r"(?<= )--[a-z-]+", line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(ferry, path):
    helps = {}
    for command, options in commands_in(path.read_text()):
        words = ["help"] if command == "help" else ["help", command, "--all"]
        page = helps.setdefault(command, ferry(*words))
        assert page.code == 0, command
        for option in options:
            assert re.search(rf"^  {option}\b", page.stdout, re.M), f"ferry {command} {option}"
