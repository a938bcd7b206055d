"""What the documents tell is so."""

import re
import subprocess

import pytest

from ferry_harness import FERRY, REPOSITORY, account_is_locked, environment, free_port

README = (REPOSITORY / "README.md").read_text()


@pytest.mark.skipif(account_is_locked(), reason="the tour's sshd runs without PAM")
def test_the_readme_tour_works_as_printed(folder):
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert blocks, "the tour"
    tour = "".join(blocks).replace("make build tools\n", "").replace("PORT=2222", f"PORT={free_port()}")
    tour = tour.replace("$PWD/build", str(FERRY.parent))
    ended = subprocess.run(["bash", "-euo", "pipefail", "-c", tour], cwd=REPOSITORY, timeout=120,
                           env=environment({"TMPDIR": str(folder)}), capture_output=True,
                           text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 2 files delivered" in ended.stdout
    assert list(folder.iterdir()) == []


def test_the_readme_configuration_is_right(ferry, folder):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = folder / "ferry.toml"
    config.write_text(example)
    checked = ferry("config", "check", "--config", config)
    assert checked.code == 0, checked.stdout
    shown = ferry("config", "show", "--config", config).stdout
    without = folder / "without.toml"
    without.write_text(re.sub(r"(?m)^(max_attempts|window|stall_timeout|level|format) = .*$", "",
                              example))
    assert ferry("config", "show", "--config", without).stdout == shown


def test_the_policies_of_abnormal_files_are_right(ferry, folder):
    page = (REPOSITORY / "docs" / "abnormal-files.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    config = folder / "ferry.toml"
    config.write_text('metastore = "/var/lib/ferry"\n' + "".join(examples))
    checked = ferry("config", "check", "--config", config)
    assert checked.code == 0, checked.stdout + checked.stderr


def test_the_readme_lists_what_targets_install_beside_the_build():
    makefile = (REPOSITORY / "Makefile").read_text()
    development = README.partition("\n## Development\n")[2]
    for kind in ("DEB", "SYSTEMD_TEST", "AIRFLOW", "SERVERS_TEST", "BENCH", "LINT"):
        for package in re.search(rf"^{kind}_PACKAGES := (.*)$", makefile, re.M)[1].split():
            assert package in development, package
