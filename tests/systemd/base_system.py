"""The Debian that the tests boot: made once by debootstrap, then kept in build/."""

import hashlib
import os
import pathlib
import shutil
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WORKPLACE = REPOSITORY / "build" / "systemd"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "openssh-server")


def package():
    """The newest .deb that `make deb` left."""
    built = sorted((REPOSITORY / "build").glob("ferry_*.deb"), key=lambda path: path.stat().st_mtime)
    assert built, "no package: make deb"
    return built[-1]


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def source_of_this_machine():
    """The release that runs here, and where apt gets it from."""
    targets = output_of("apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)",
                        "Created-By: Packages", "Origin: Debian", "Label: Debian",
                        "Component: main").splitlines()
    assert targets, "apt has no list of Debian's packages: apt-get update"
    return targets[0].split()


def base_system():
    """The folder; it must not be changed."""
    release, mirror = source_of_this_machine()
    depends = output_of("dpkg-deb", "--field", str(package()), "Depends").strip()
    key = hashlib.sha256(f"{release} {PACKAGES} {depends}".encode()).hexdigest()[:12]
    ready = WORKPLACE / f"base-{key}"
    if not ready.exists():
        make(ready, release, mirror, depends)
    return ready


def make(ready, release, mirror, depends):
    for old in WORKPLACE.glob("base-*"):
        shutil.rmtree(old)
    unfinished = ready.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    run_logged("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release,
               unfinished, mirror)
    run_logged("chroot", unfinished, "apt-get", "--quiet", "--assume-yes",
               "--no-install-recommends", "satisfy", depends)
    run_logged("chroot", unfinished, "apt-get", "clean")
    unfinished.rename(ready)


def run_logged(*command):
    path = WORKPLACE / "base.log"
    with open(path, "wb") as log:
        done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=log,
                              stderr=log, check=False, timeout=900,
                              env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    assert done.returncode == 0, f"{command}:\n{path.read_text()[-2000:]}"
