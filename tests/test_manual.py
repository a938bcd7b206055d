"""The manual: well-formed, whole, and the same as the program."""

import re
import subprocess

import pytest

from ferry_harness import FERRY, REPOSITORY, exit_codes, tool

MANUAL = FERRY.parent / "ferry_manual"
PAGES = ("ferry.1", "ferry.toml.5")

pytestmark = pytest.mark.skipif(not MANUAL.exists(), reason="only `make build` builds the manual")


def page(name):
    return subprocess.run([MANUAL, name], capture_output=True, text=True, timeout=60,
                          check=True).stdout


def shown(folder, name):
    """A page as a reader sees it."""
    (folder / name).write_text(page(name))
    return subprocess.run([tool("mandoc"), "-Tascii", "-Owidth=300", folder / name],
                          capture_output=True, text=True, timeout=60,
                          check=True).stdout.replace("\b", "\0")


def plain(text):
    """Without overstriking: x, backspace, x is a bold x."""
    return re.sub(".\0", "", text)


@pytest.mark.parametrize("name", PAGES)
def test_mandoc_finds_nothing_to_mend(folder, name):
    (folder / name).write_text(page(name))
    ended = subprocess.run([tool("mandoc"), "-Tlint", "-Wstyle", folder / name],
                           capture_output=True, text=True, timeout=60, check=False)
    # It looks for other pages among those that are installed.
    complaints = [line for line in (ended.stdout + ended.stderr).splitlines()
                  if not re.search(r"referenced manual not found|mandoc\.db", line)]
    assert complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_man_finds_nothing_to_mend(folder, name):
    (folder / name).write_text(page(name))
    ended = subprocess.run([tool("man"), "--warnings", "-l", folder / name], capture_output=True,
                           text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_page_has_every_command_and_option(ferry, folder):
    text = plain(shown(folder, "ferry.1"))
    names = re.findall(r"^  (\w+) ", ferry("help").stdout.partition("\nglobal options")[0], re.M)
    assert "transfer" in names
    for name in names:
        for option in re.findall(r"^  (--[a-z-]+)", ferry("help", name).stdout, re.M):
            assert re.search(rf"^ +{option}\b", text, re.M), option


def test_the_page_tells_each_command_s_exit_codes(folder):
    commands = plain(shown(folder, "ferry.1")).partition("\nCOMMANDS")[2]
    sections = dict(re.findall(r"^   (\w+)\n(.*?)(?=^   \w|^\w)", commands, re.M | re.S))
    for name, codes in exit_codes().items():
        listed = sections[name].partition("Exit codes:")[2]
        assert dict(re.findall(r"^ +(\w+) +(.*)\.$", listed, re.M)) == codes


def test_the_readme_s_exit_codes_are_those_of_the_page(folder):
    section = plain(shown(folder, "ferry.1")).partition("\nEXIT STATUS")[2]
    section = re.split(r"^\w", section, maxsplit=1, flags=re.M)[0]
    told = dict(re.findall(r"^ +(\d+) +(.*)\.$", section, re.M))
    readme = (REPOSITORY / "README.md").read_text()
    assert told == {code: meaning.strip() for code, meaning in
                    re.findall(r"^\| (\d+) \| ([^|(]+)", readme, re.M)}


def test_a_command_s_own_meanings_are_told():
    codes = exit_codes()
    assert "missing" in codes["verify"]["1"]
    assert codes["doctor"]["2"] != codes["transfer"]["2"]
    assert "N" in codes["transfer"] and "N" in codes["verify"]
    assert "N" not in codes["doctor"]


def test_the_page_has_every_variable_that_the_program_reads(folder):
    sources = "".join(path.read_text() for path in (REPOSITORY / "src/app").rglob("*.cpp"))
    read = set(re.findall(r'"(FERRY_[A-Z]+)"', sources))
    assert read
    text = plain(shown(folder, "ferry.1"))
    assert [name for name in sorted(read) if name not in text] == []


def test_the_pages_example_is_right(ferry, folder):
    text = page("configuration.md")
    config = folder / "ferry.toml"
    config.write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert ferry("config", "check", "--config", config).code == 0


def test_docs_configuration_is_what_the_tables_say():
    written = (REPOSITORY / "docs/configuration.md").read_text()
    assert written == page("configuration.md"), "run `make docs`"


def test_every_table_and_key_is_explained():
    text = page("configuration.md")
    for heading, body in re.findall(r"^### (.*?)\n(.*?)(?=^##)", text, re.M | re.DOTALL):
        assert not body.strip().startswith("|"), f"{heading} has no introduction"
    for key, value, default, meaning in re.findall(
            r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| .*\|$", text, re.M):
        assert value and default and len(meaning) > 8, key
