"""Small stories, each told in one function: it sets things up, and where it yields for the first
time the fault may begin to strike; where it yields again the fault is over. What follows is what
changes in the world before the undisturbed runs. rounds.py plays them.
"""

import gzip
import json

SCENARIOS = {}

CONTENTS = {"a.csv": b"one\n" * 300, "in/b.csv": b"two\n" * 500, "c.csv": b""}
MIB = 1 << 20


def scenario(function):
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


def land_some(world, **keywords):
    for path, content in CONTENTS.items():
        world.land(path, content, **keywords)


# Watching.

@scenario
def watch_once(world):
    land_some(world)
    yield
    world.ferry("watch", "--once")


@scenario
def watch_running(world):
    """It goes on after a fault that it survives, and misses nothing."""
    world.land("before.csv", b"before")
    yield
    watcher = world.start("watch")
    world.until(lambda: " ready" in watcher.log(), watcher)
    land_some(world)
    world.until(lambda: all(map(world.is_registered, world.files)), watcher)
    world.files[1].fate = "open"  # it may be replaced before it is delivered
    world.land("a.csv", b"another version")
    world.until(lambda: all(map(world.is_registered, world.files)), watcher)
    watcher.stop()


@scenario
def watch_at_a_server(world):
    world.configure(remote=True)
    land_some(world)
    yield
    world.ferry("watch", "--once")


# Delivering.

@scenario
def transfer(world):
    land_some(world)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def transfer_by_openssh(world):
    """With ssh as the one that connects and sends."""
    world.configure(destination='transport = "openssh"')
    world.children_count = True
    land_some(world)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def sidecars(world):
    """Beside each file its sum, and after all of them the list."""
    world.configure(destination='sidecar = "sha256"')
    world.sidecars = True
    land_some(world)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def chunks(world):
    """A large file over several connections, beside small ones."""
    world.configure(transfer='bandwidth_limit = "12M"\nwindow = "1MiB"')
    world.land("large.bin", b"".join(number.to_bytes(8, "big") * 128 for number in range(8 * 1024)))
    world.land("small.csv", b"small")
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def follow(world):
    """An agent that stays, beside runs of the watcher."""
    world.land("first.csv", b"first")
    world.prepare("watch", "--once")
    yield
    agent = world.start("transfer", "--follow")
    world.until(lambda: world.is_delivered(world.files[0]), agent)
    world.land("second.csv", b"second")

    def is_delivered():
        if not world.is_registered(world.files[1]):  # a halted agent may have the metastore locked
            world.undisturbed("watch", "--once")
        return world.is_delivered(world.files[1])

    world.until(is_delivered, agent)
    agent.stop()


@scenario
def two_destinations(world):
    world.configure(destinations=("b", "c"))
    land_some(world, destinations=("b", "c"))
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def two_agents(world):
    """The other one takes what lands when the first has made its choice."""
    land_some(world)
    world.prepare("watch", "--once")
    yield
    first = world.start("transfer")
    world.until(lambda: world.tables()[1], first)
    for number in range(3):
        world.land(f"late-{number}.csv", b"%d" % number * 100)
    world.undisturbed("watch", "--once")
    second = world.start("transfer", disturbed=False)
    first.wait()
    second.wait()


@scenario
def transforms(world):
    world.configure(routes='[route.all]\nto = ["b"]\ntransforms = ["gzip"]\n')
    for path, content in CONTENTS.items():
        world.land(path, content, name=f"{path}.gz", decode=gzip.decompress)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def transforms_for_two(world):
    """What the one made in the spool, the other uses."""
    world.configure(routes='[route.all]\nto = ["b", "c"]\ntransforms = ["gzip", "wrap"]\n'
                           '[transform.wrap]\ncommand = ["sh", "-c", "echo begin; cat"]\n',
                    destinations=("b", "c"))
    for path, content in CONTENTS.items():
        world.land(path, content, name=f"{path}.gz", destinations=("b", "c"), decode=unwrap)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


def unwrap(content):
    if not content.startswith(b"begin\n"):
        raise ValueError("no beginning")
    return gzip.decompress(content[6:])


@scenario
def all_or_nothing(world):
    world.configure(transfer='batch = "all-or-nothing"')
    world.takes_back = True
    land_some(world)
    world.prepare("watch", "--once")
    yield
    ended = world.ferry("transfer")
    world.observer.settle()
    there = sum(world.target("b", file).exists() for file in world.files)
    if ended.code >= 0 and there not in (0, len(world.files)):
        world.complaints.append(f"{there} of {len(world.files)} files are at b after: {ended}")


@scenario
def new_version(world):
    """Of a file that was delivered."""
    world.land("a.csv", b"the first version")
    world.prepare("watch", "--once")
    world.prepare("transfer")
    world.land("a.csv", b"the second version")
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


# What changes after the crash, or while somebody is halted.

@scenario
def then_replaced(world):
    """Of one file a new version lands meanwhile, and another agent delivers it."""
    land_some(world)
    world.prepare("watch", "--once")

    def replace():
        world.files[0].fate = "open"
        world.land("a.csv", b"a newer version")

    world.meanwhile = replace
    yield
    world.ferry("transfer")
    yield
    world.do_meanwhile()


@scenario
def transformed_then_replaced(world):
    world.configure(routes='[route.all]\nto = ["b"]\ntransforms = ["gzip"]\n')
    world.land("a.csv", b"the first version", name="a.csv.gz", decode=gzip.decompress)
    world.prepare("watch", "--once")

    def replace():
        world.files[0].fate = "open"
        world.land("a.csv", b"a newer version", name="a.csv.gz", decode=gzip.decompress)

    world.meanwhile = replace
    yield
    world.ferry("transfer")
    yield
    world.do_meanwhile()


@scenario
def then_gone(world):
    """The sources are taken away by their producer after the crash."""
    land_some(world)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")
    yield
    for file in world.files:
        file.fate = "open"
        (world.landing / file.path).unlink()


# Afterwards.

def deliver_and_take_away(world, after, archive=None, remote=False):
    archive = archive or world.folder / "archive"
    where = f'archive = "{archive}"\n' if after == "archive" else ""
    world.configure(routes=f'[route.all]\nto = ["b"]\nafter = "{after}"\n{where}', archive=archive,
                    remote=remote)
    land_some(world, after=after)
    world.prepare("watch", "--once")
    yield
    world.ferry("transfer")


@scenario
def archive(world):
    yield from deliver_and_take_away(world, "archive")


@scenario
def archive_elsewhere(world):
    """On another file system."""
    assert world.elsewhere, "there is no other file system"
    yield from deliver_and_take_away(world, "archive", world.elsewhere / "archive")


@scenario
def delete(world):
    yield from deliver_and_take_away(world, "delete")


@scenario
def archive_at_a_server(world):
    yield from deliver_and_take_away(world, "archive", remote=True)


@scenario
def delete_at_a_server(world):
    yield from deliver_and_take_away(world, "delete", remote=True)


# Uploading.

def upload_two(world):
    inputs = world.folder / "inputs"
    inputs.mkdir()
    names = ("x.csv", "y.csv")
    for name in names:
        (inputs / name).write_bytes(b"uploaded " + name.encode())
    files = [world.expect(f"up/{name}", b"uploaded " + name.encode(), fate="open")
             for name in names]
    yield
    ended = world.ferry("upload", "--as", "up/", *(inputs / name for name in names))
    if ended.code >= 0 and not ended.while_halted:
        judge_upload(world, ended, files)
    yield
    world.all_or_none = files


def judge_upload(world, ended, files):
    """Its help: 0 all are there and registered, 1 none is there."""
    there = [file for file in files if world.is_in_place(file)]
    registered = [file for file in files if world.is_registered(file)]
    if ended.code == 0:
        for file in files:
            file.fate = "delivered"
        if len(registered) != len(files):
            world.complaints.append(f"{len(registered)} files are registered after: {ended}")
    elif ended.code == 1 and (there or registered):
        world.complaints.append(f"{len(there)} files are there after: {ended}")


@scenario
def upload(world):
    yield from upload_two(world)


@scenario
def upload_over_another(world):
    """One of the names is taken, by a file that was delivered."""
    world.land("up/x.csv", b"an older one")
    world.prepare("watch", "--once")
    world.prepare("transfer")
    yield from upload_two(world)


@scenario
def upload_to_a_server(world):
    world.configure(remote=True)
    yield from upload_two(world)


# Quarantine.

@scenario
def held(world):
    """What the area refuses is moved aside."""
    world.configure(landing='empty = "quarantine"')
    world.land("good.csv", b"good")
    world.land("empty.csv", b"", fate="kept out")
    world.land("in/empty.csv", b"", fate="kept out")
    yield
    world.ferry("watch", "--once")
    yield
    world.held_at_rest = {"empty.csv", "in/empty.csv"}


@scenario
def release_and_drop(world):
    world.configure(landing='empty = "quarantine"')
    released = world.land("released.csv", b"", ids=2)
    dropped = world.land("in/dropped.csv", b"", fate="kept out")
    world.prepare("watch", "--once")
    yield
    world.ferry("quarantine", "list")
    judge_quarantine(world, world.ferry("quarantine", "release", released.path), released, True)
    judge_quarantine(world, world.ferry("quarantine", "drop", dropped.path), dropped, False)
    yield
    for action, file in (("release", released), ("drop", dropped)):
        if file.path in listed_in_quarantine(world):
            ended = world.undisturbed("quarantine", action, file.path)
            if ended.code != 0:
                world.complaints.append(f"still held, and: {ended}")
    world.gone = {dropped.path}


def judge_quarantine(world, ended, file, is_back):
    if ended.code == 0 and (world.landing / file.path).exists() != is_back:
        world.complaints.append(f"{file.path} is {'not ' if is_back else ''}there after: {ended}")
    if ended.code == 0 and file.path in listed_in_quarantine(world):
        world.complaints.append(f"{file.path} is still listed after: {ended}")


def listed_in_quarantine(world):
    ended = world.undisturbed("quarantine", "list", "--json")
    return [json.loads(line)["path"] for line in ended.stdout.splitlines()]


# The tables.

@scenario
def compact(world):
    world.land("a.csv", b"the first version")
    world.land("gone.csv", b"it goes away")
    world.land("stays.csv", b"it stays")
    world.prepare("watch", "--once")
    world.prepare("transfer")
    world.land("a.csv", b"the second version")
    (world.landing / "gone.csv").unlink()
    world.gone = {"gone.csv"}
    world.prepare("watch", "--once")
    world.prepare("transfer")
    yield
    world.ferry("compact", "--keep", "0s")
    yield
    world.rest.append(("compact", "--keep", "0s"))
