"""The servers' programs: each fetched and built once, below build/servers/.

What is pinned beside this file decides: when it changes, what is made of it is made anew.
"""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORKPLACE = HERE.parent.parent / "build" / "servers"


class Missing(Exception):
    """A tool that somebody has to install first."""


def tool(name, hint):
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not there: {hint}")
    return found


def run(*command, cwd=None):
    """The output; a failure shows all that was said."""
    ended = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True,
                           check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {ended.stdout}{ended.stderr}")
    return ended.stdout


@contextlib.contextmanager
def locked():
    """One test run at a time makes programs."""
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    with open(WORKPLACE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(name, pinned, make):
    """The folder that make(folder) filled from the files PINNED."""
    digest = hashlib.sha256(name.encode())
    for path in sorted(pinned):
        digest.update(path.read_bytes())
    folder = WORKPLACE / f"{name}-{digest.hexdigest()[:12]}"
    with locked():
        if (folder / "complete").exists():
            return folder
        print(f"making {name} in {folder}", file=sys.stderr, flush=True)
        for old in WORKPLACE.glob(f"{name}-*"):
            shutil.rmtree(old)
        folder.mkdir()
        make(folder)
        (folder / "complete").touch()
    return folder


def files_of(*folders):
    return [path for folder in folders for path in (HERE / folder).rglob("*") if path.is_file()]


def debian():
    """A tree with the packages' files."""
    listed = HERE / "debian-packages.txt"

    def unpack(folder):
        names = [line for line in listed.read_text().splitlines() if line and line[0] != "#"]
        try:
            run("apt-get", "download", "-q", *names, cwd=folder)
        except RuntimeError:
            run("apt-get", "update", "-q")
            run("apt-get", "download", "-q", *names, cwd=folder)
        for package in folder.glob("*.deb"):
            run("dpkg-deb", "--extract", package, folder)
            package.unlink()

    return made("debian", [listed], unpack)


def debian_environment():
    """Where the unpacked programs find their libraries."""
    return {"LD_LIBRARY_PATH": f"{debian()}/usr/lib/x86_64-linux-gnu"}


GO_HINT = "install Go 1.26 or later (https://go.dev/dl)"


def go_program():
    """The small server of ours on pkg/sftp."""
    def build(folder):
        run(tool("go", GO_HINT), "build", "-trimpath", "-o", folder / "plain", ".",
            cwd=HERE / "go" / "plain")

    return made("go-plain", files_of("go/plain"), build) / "plain"


def go_release(name, module, *build_options, beside=()):
    """A program as it is released: built where its own go.mod and go.sum hold. The folders BESIDE go
    along with it."""
    def build(folder):
        go = tool("go", GO_HINT)
        found = json.loads(run(go, "mod", "download", "-json", module, cwd=HERE / "go" / "programs"))
        source = folder / "source"
        shutil.copytree(found["Dir"], source)
        run("chmod", "-R", "u+w", source)
        run("nice", go, "build", "-trimpath", *build_options, "-o", folder / name, ".", cwd=source)
        for needed in beside:
            (source / needed).rename(folder / needed)
        shutil.rmtree(source)

    return made(name, files_of("go/programs"), build) / name


def rclone():
    return go_release("rclone", "github.com/rclone/rclone")


def sftpgo():
    return go_release("sftpgo", "github.com/drakkan/sftpgo/v2", "-tags",
                      "nogcs,nos3,noazblob,nobolt,nomysql,nopgsql,nosqlite,nometrics", beside=("templates",))


def python():
    """The interpreter of an environment with the Python servers' packages."""
    requirements = HERE / "python" / "requirements.txt"

    def install(folder):
        run("/usr/bin/python3", "-m", "venv", folder)
        run(folder / "bin/pip", "install", "--quiet", "--requirement", requirements)

    return made("python", [requirements], install) / "bin/python3"


def node():
    """The folder whose node_modules has ssh2."""
    pinned = [HERE / "node" / name for name in ("package.json", "package-lock.json")]

    def install(folder):
        for path in pinned:
            shutil.copy(path, folder)
        tool("node", "install Node.js 18 or later")
        run(tool("npm", "install npm"), "ci", "--ignore-scripts", "--omit=optional", "--no-audit",
            "--no-fund", cwd=folder)

    return made("node", pinned, install)


def java():
    """The folder with MINA SSHD's jars, and a small server on it."""
    def build(folder):
        source = folder / "source"
        shutil.copytree(HERE / "java", source)
        run(tool("mvn", "install Maven"), "--batch-mode", "--quiet", "package",
            "dependency:copy-dependencies", f"-DoutputDirectory={folder}",
            cwd=source)
        for jar in (source / "target").glob("*.jar"):
            jar.rename(folder / jar.name)
        shutil.rmtree(source)

    return made("java", files_of("java"), build)

