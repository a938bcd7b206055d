"""What the build makes is hardened, and what it needs starts nothing on a developer's machine."""

import os
import re
import subprocess

import pytest

from ferry_harness import FERRY, REPOSITORY, tool

pytestmark = pytest.mark.skipif("FERRY_SANITIZED" in os.environ,
                                reason="sanitizers have flags of their own")


def readelf(*options):
    return subprocess.run([tool("readelf"), *options, FERRY], capture_output=True, text=True,
                          timeout=60, check=True).stdout


def imported():
    return set(re.findall(r"UND (\w+)", readelf("--wide", "--dyn-syms")))


def test_it_is_loaded_at_a_random_address():
    assert re.search(r"Type: +DYN", readelf("--file-header"))
    assert re.search(r"FLAGS_1\b.*\bPIE\b", readelf("--dynamic"))


def test_what_the_loader_wrote_is_read_only_before_it_starts():
    assert "GNU_RELRO" in readelf("--wide", "--program-headers")
    assert re.search(r"FLAGS_1\b.*\bNOW\b", readelf("--dynamic"))


def test_nothing_is_both_written_and_executed():
    headers = readelf("--wide", "--program-headers")
    assert re.search(r"GNU_STACK.* RW +0x", headers)
    assert not re.search(r"LOAD.* RWE", headers)


def test_stacks_are_protected():
    assert "__stack_chk_fail" in imported()


def test_functions_of_the_c_library_are_fortified():
    assert len([name for name in imported()
                if name.endswith("_chk") and name != "__stack_chk_fail"]) >= 3


def test_indirect_branches_have_marked_targets():
    if os.uname().machine != "x86_64":
        pytest.skip("of x86 only")
    disassembled = subprocess.run([tool("objdump"), "--disassemble=main", FERRY],
                                  capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"<main>:\n.*\bendbr64", disassembled)


def test_no_package_that_is_installed_starts_a_server():
    makefile = (REPOSITORY / "Makefile").read_text().replace("\\\n", " ")
    lists = dict(re.findall(r"^(\w+_PACKAGES) := (.*)$", makefile, re.M))
    assert "g++" in lists["BUILD_PACKAGES"] and "jq" in lists["TEST_PACKAGES"]
    for package in " ".join(lists.values()).split():
        files = subprocess.run(["dpkg-query", "--listfiles", package], capture_output=True,
                               text=True, timeout=60, check=False).stdout
        assert "/etc/init.d/" not in files, package
