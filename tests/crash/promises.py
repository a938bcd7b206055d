"""What ferry promises, in words that read like the README's, held against what happened.

Each promise is a function that yields what breaks it. It looks at the places, at the tables, at
what the commands said, and at everything that happened to names at the destinations, in the landing
area and in the archive, in order (observer.py).
"""

import collections
import hashlib
import json

from ferry_harness import check_exit_code

PROMISES = {}  # by name: (what is promised, function)


def promise(name, text):
    def add(function):
        PROMISES[name] = (text, function)
        return function
    return add


def broken(world):
    """(name, what breaks it) for every promise that is broken, now that the world is at rest."""
    evidence = Evidence(world)
    return [(name, what) for name, (_, function) in PROMISES.items() for what in function(evidence)]


def checksum_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Evidence:
    """What can be seen."""

    def __init__(self, world):
        self.world = world
        world.observer.settle()
        self.events = list(world.observer.events)
        self.unreadable_rows = []
        self.registry = self._rows("file_registry")
        self.logs = self._rows("transfer_logs")
        self.files = {}  # the last row of each id
        for row in self.registry:
            self.files[row["id"]] = row
        self.standing = {}  # the last row of each id and destination
        for row in self.logs:
            self.standing[row["id"], row.get("destination")] = row
        self.control_files = {name: self._control_files(name) for name in world.destinations}

    def _rows(self, table):
        """The archive's first: it has the older ones."""
        folder = self.world.metastore
        rows = []
        for path in [*sorted(folder.glob(f"archive/*/{table}.*.jsonl")), folder / f"{table}.jsonl"]:
            text = path.read_text() if path.exists() else ""
            for line in text.splitlines(keepends=True):
                try:
                    rows.append(json.loads(line))
                    if not line.endswith("\n"):
                        self.unreadable_rows.append(f"{path.name}: no end of line: {line}")
                except ValueError:
                    self.unreadable_rows.append(f"{path.name}: {line}")
        return rows

    def _control_files(self, destination):
        found = {}
        for event in self.of(destination, "appeared"):
            if not is_control_file(event.path):
                continue
            try:
                found[event.path] = json.loads(event.content)
            except (ValueError, TypeError):
                found[event.path] = None
        return found

    def of(self, place, *whats):
        return [event for event in self.events if event.place == place and event.what in whats]

    def ids_of(self, file):
        """All ids that the registry has for these bytes under this path, oldest first."""
        checksum = checksum_of(file.content)
        return [id for id, row in self.files.items()
                if (row["path"], row["checksum"]) == (file.path, checksum)]

    def arrivals(self, destination, file):
        """When, by the order of events, FILE got its final name there; but for what an
        all-or-nothing batch took back."""
        found = []
        for number, event in enumerate(self.events):
            if (event.place, event.path) != (destination, file.remote):
                continue
            if event.what == "appeared" and file.is_what_arrived(event.content):
                found.append(number)
            elif event.what == "left" and self.world.takes_back:
                found.clear()
        return found

    def successes(self, destination, ids):
        return [row for row in self.logs if row["id"] in ids
                and row.get("destination") == destination
                and row["transfer_status"] == "successful"]



def is_control_file(path):
    return path.endswith(".control.json")


def is_sidecar(world, event):
    return world.sidecars and event.place in world.destinations and event.path.endswith(".sha256")


def sums_of(world, path):
    """What may stand beside the file that has this path at B."""
    name = path.rpartition("/")[2]
    return {f"{hashlib.sha256(file.content).hexdigest()}  {name}\n".encode()
            for file in world.files if path in (file.path, file.remote)}


# Whole.

@promise("whole", "A file appears under its name in one step, complete, and stays as it is.")
def whole(evidence):
    world = evidence.world
    if world.observer.overflowed:
        yield "the observer lost events: the round says nothing"
    for event in evidence.events:
        if event.what == "changed":
            yield f"{event.place}/{event.path} was written to under its final name"
        if event.what != "appeared" or event.content is None or is_control_file(event.path):
            continue
        if is_sidecar(world, event):
            if event.content not in sums_of(world, event.path.removesuffix(".sha256")):
                yield f"{event.place}/{event.path} appeared, and says {event.content}"
            continue
        names = [file for file in world.files
                 if event.path in (file.path, file.remote)
                 or event.place == "archive" and event.path.startswith(file.path + ".")]
        is_at_b = event.place in world.destinations
        if not any(file.is_what_arrived(event.content) if is_at_b else file.content == event.content
                   for file in names):
            yield (f"{event.place}/{event.path} appeared with {len(event.content)} bytes that "
                   f"nobody sent ({event.how})")


@promise("kept out", "What must not be sent is not sent.")
def kept_out(evidence):
    for file in evidence.world.files:
        for destination in file.destinations:
            if file.fate == "kept out" and evidence.arrivals(destination, file):
                yield f"{file.path} is at {destination}"


@promise("stays there", "What is at the destination is not taken away again.")
def stays_there(evidence):
    for event in evidence.events:
        if event.place in evidence.world.destinations and event.what == "left":
            if not evidence.world.takes_back:
                yield f"{event.path} left {event.place}"


@promise("newest", "An older version never takes the place of a newer one.")
def newest(evidence):
    for path in {file.path for file in evidence.world.files}:
        versions = evidence.world.known(path)
        for destination in evidence.world.destinations:
            order = sorted((at, number) for number, file in enumerate(versions)
                           for at in evidence.arrivals(destination, file))
            numbers = [number for _, number in order]
            if numbers != sorted(numbers):
                yield f"{path} at {destination}: versions arrived in the order {numbers}"


# Once.

@promise("registered once", "Every file that lands is registered, once.")
def registered_once(evidence):
    for file in evidence.world.files:
        ids = evidence.ids_of(file)
        least = file.ids if file.fate == "delivered" else 0
        if not least <= len(ids) <= file.ids:
            yield f"{file.path} is registered {len(ids)} times: {', '.join(ids)}"
    known = {(file.path, checksum_of(file.content)) for file in evidence.world.files}
    for id, row in evidence.files.items():
        if (row["path"], row["checksum"]) not in known:
            yield f"registered as {id} and never landed: {row['path']} {row['checksum']}"


@promise("delivered once", "Every file is delivered to each of its destinations, once.")
def delivered_once(evidence):
    for file in evidence.world.files:
        for destination in file.destinations:
            arrivals = len(evidence.arrivals(destination, file))
            successes = len(evidence.successes(destination, evidence.ids_of(file)))
            wanted = {"delivered": (1,), "kept out": (0,), "open": (0, 1)}[file.fate]
            if arrivals not in wanted:
                yield f"{file.path} got its name at {destination} {arrivals} times"
            if successes not in wanted or arrivals in wanted and successes != arrivals:
                yield (f"{file.path} got its name at {destination} {arrivals} times, and was "
                       f"recorded successful {successes} times")


# Proven.

@promise("listed once", "Every delivered file is in exactly one control file, with its checksum.")
def listed_once(evidence):
    for destination, control_files in evidence.control_files.items():
        entries = collections.defaultdict(list)
        for name, content in control_files.items():
            for entry in (content or {}).get("files", []):
                entries[entry["id"]].append((name, entry))
        for file in evidence.world.files:
            if destination not in file.destinations:
                continue
            listed = [found for id in evidence.ids_of(file) for found in entries[id]]
            arrived = bool(evidence.arrivals(destination, file))
            if len(listed) != arrived:
                yield (f"{file.path} {'is' if arrived else 'is not'} at {destination}, and listed "
                       f"in {len(listed)} control files")
            for name, entry in listed:
                if not is_right(evidence, destination, file, entry):
                    yield f"{name} says of {file.path}: {entry}"


def is_right(evidence, destination, file, entry):
    """By what arrived under the name that the entry gives."""
    contents = [event.content for event in evidence.of(destination, "appeared")
                if event.path == entry["path"] and event.content is not None]
    return (entry["path"] == file.remote and any(
        file.is_what_arrived(content) and entry["checksum"] == checksum_of(content)
        and entry["size"] == len(content) for content in contents))


@promise("control file last", "When a control file is seen, what it lists is there.")
def control_file_last(evidence):
    for number, event in enumerate(evidence.events):
        if event.place not in evidence.world.destinations or event.what != "appeared":
            continue
        if not is_control_file(event.path):
            continue
        content = evidence.control_files[event.place][event.path]
        if content is None or content["count"] != len(content["files"]):
            yield f"{event.path} is not whole"
            continue
        there = {}
        for earlier in evidence.events[:number]:
            if earlier.place == event.place:
                there[earlier.path] = earlier.what != "left"
        for entry in content["files"]:
            if not there.get(entry["path"]):
                yield f"{event.path} lists {entry['path']}, which is not there"
            if evidence.world.sidecars and not there.get(entry["path"] + ".sha256"):
                yield f"{event.path} lists {entry['path']}, which has no sum beside it"


# Kept.

@promise("held once", "What is abnormal waits in quarantine, whole, once, and with its reason.")
def held_once(evidence):
    world = evidence.world
    if not world.held_at_rest and not (world.landing / ".quarantine").exists():
        return
    ended = world.undisturbed("quarantine", "list", "--json")
    world.story.remove(ended)
    listed = [json.loads(line) for line in ended.stdout.splitlines()]
    if sorted(row["path"] for row in listed) != sorted(world.held_at_rest) or ended.code != 0:
        yield f"{ended}: {ended.stdout}, and held are {sorted(world.held_at_rest)}"
    for row in listed:
        file = next((file for file in world.files if file.path == row["path"]), None)
        name = row["path"].rpartition("/")[2]
        copies = list((world.landing / ".quarantine" / row["id"]).glob(name))
        if file is None or len(copies) != 1 or copies[0].read_bytes() != file.content:
            yield f"in quarantine {len(copies)} times: {row}"
        if (world.landing / row["path"]).exists():
            yield f"{row['path']} is in quarantine, and in its place"


@promise("all or none", "Files that are uploaded together are all there, or none.")
def all_or_none(evidence):
    registered = [file.path for file in evidence.world.all_or_none if evidence.ids_of(file)]
    if len(registered) not in (0, len(evidence.world.all_or_none)):
        yield f"only some of an upload's files are registered: {registered}"


# Recorded.

@promise("nothing forgotten", "Rows that were written stay: in the tables, or in the archive.")
def nothing_forgotten(evidence):
    rows = collections.Counter(map(json.dumps, [*evidence.registry, *evidence.logs]))
    for row in evidence.world.rows_seen - rows:
        yield f"a row was lost: {row}"
    for row, count in rows.items():
        if count > max(1, evidence.world.rows_seen[row]):
            yield f"a row is there {count} times: {row}"


@promise("recorded", "The last rows say what is so: successful is there, whatever else is not.")
def recorded(evidence):
    yield from (f"cannot be read: {row}" for row in evidence.unreadable_rows)
    world = evidence.world
    for (id, destination), row in evidence.standing.items():
        file = next((file for file in world.files if id in evidence.ids_of(file)), None)
        if file is None or destination not in world.destinations:
            yield f"a row about nothing: {row}"
            continue
        status = row["transfer_status"]
        arrived = bool(evidence.arrivals(destination, file))
        if arrived != (status == "successful"):
            yield (f"{file.path} {'is' if arrived else 'is not'} at {destination}, and the log "
                   f"says {status} {row.get('error', '')}")
        if status == "successful" and row["remote_path"] != str(world.target(destination, file)):
            yield f"{file.path}: the log says that it is at {row['remote_path']}"


@promise("told alike", "status, list and the marker 'pending' say what the tables say.")
def told_alike(evidence):
    world = evidence.world
    if (world.metastore / "pending").exists():
        yield "the marker says that something is pending"
    for destination in world.destinations:
        ended = world.undisturbed("list", "--json", "--destination", destination)
        world.story.remove(ended)
        if ended.code != 0:
            yield f"list: {ended}"
            continue
        told = {row["id"]: row["status"]
                for row in map(json.loads, ended.stdout.splitlines())}
        archived = set(evidence.files) - current_ids(world)
        meant = {id: meant_standing(evidence, id, destination) for id in evidence.files
                 if id not in archived}
        differing = {id: (told.get(id), meant.get(id)) for id in told.keys() | meant.keys()
                     if meant.get(id) != told.get(id)}
        if differing:
            yield f"list --destination {destination} and the tables differ: {differing}"
        yield from counts_differ(world, destination, told)


def current_ids(world):
    rows, _ = world.tables()
    return {row["id"] for row in rows}


def meant_standing(evidence, id, destination):
    """As metastore/README.md has it, when no agent runs."""
    state = evidence.files[id].get("state", "ready")
    row = evidence.standing.get((id, destination), {})
    status = row.get("transfer_status")
    if status == "successful":
        return "successful"
    if state != "ready":
        return state
    if status == "failed" and row.get("attempt", 1) > 0:
        return "failed"
    return "pending"


def counts_differ(world, destination, told):
    ended = world.undisturbed("status", "--json", "--destination", destination)
    world.story.remove(ended)
    if ended.code != 0:
        yield f"status: {ended}"
        return
    counts = collections.Counter(told.values())
    for status, count in json.loads(ended.stdout).items():
        if isinstance(count, int) and status in ("pending", "in_progress", "successful", "failed",
                                                 "quarantined", "superseded", "missing"):
            if count != counts[status]:
                yield f"status says {count} {status}, list {counts[status]}"


@promise("exit codes",
         "A command ends by itself, with a code that its help explains and that is true.")
def exit_codes_are_true(evidence):
    world = evidence.world
    yield from world.complaints
    for ended in world.story:
        if ended.hung:
            yield f"hangs: {ended}"
        elif ended.code < 0 and not (ended.struck and ended.code == -9):
            yield f"ended by a signal: {ended}"
        else:
            try:
                check_exit_code(ended.args, ended.code)
            except AssertionError as unknown:
                yield str(unknown)


def judge_exit_code(world, ended, before):
    """What 0 promises of watch --once and of transfer, looked at as soon as they end."""
    (registry, _), landed = before
    if ended.code != 0 or ended.while_halted or "--follow" in ended.args:
        return []
    if ended.args[:2] == ("watch", "--once"):
        return [f"{file.path} is not registered after: {ended}" for file in landed
                if world.is_latest(file) and not world.is_registered(file)]
    if ended.args[:1] == ("transfer",):
        return undelivered_after(world, ended, registry)
    return []


def undelivered_after(world, ended, registry):
    """Of what was ready; what another agent holds may wait."""
    registry_now, logs = world.tables()
    files = {row["id"]: row for row in registry_now}
    standing = {(row["id"], row.get("destination")): row["transfer_status"] for row in logs}
    known = {row["id"] for row in registry}
    return [f"{row['path']} is ready, and not at {destination}, after: {ended}"
            for id, row in files.items() for destination in world.destinations
            if id in known and row.get("state", "ready") == "ready"
            and standing.get((id, destination), "none") in ("none", "failed")]


@promise("stubborn", "Whatever happened, a further run or two do everything that is left.")
def stubborn(evidence):
    world = evidence.world
    last_run = world.story[-len(world.rest):]
    for ended in last_run:
        if ended.code != 0:
            yield f"not even undisturbed: {ended}"
    for id, row in evidence.files.items():
        for destination in world.destinations:
            standing = meant_standing(evidence, id, destination)
            if standing in ("pending", "failed"):
                yield f"{row['path']} ({id}) is still {standing} at {destination}"


# Tidy.

@promise("nothing left over", "No parts, journals, hidden names, locks or temporary files stay.")
def nothing_left_over(evidence):
    world = evidence.world
    for destination in world.destinations:
        for path in (world.folder / destination).rglob(".*"):
            yield f"at {destination}: {path.relative_to(world.folder / destination)}"
    for name, folder in (("landing area", world.landing), ("archive", world.archive)):
        for path in folder.rglob(".*"):
            if path.name not in (".quarantine", ".arriving"):
                yield f"in the {name}: {path.relative_to(folder)}"
    held = world.landing / ".quarantine"
    for path in held.rglob("*") if not world.held_at_rest else []:
        yield f"in quarantine: {path.relative_to(held)}"
    yield from left_in_metastore(evidence)


def left_in_metastore(evidence):
    world = evidence.world
    for folder in ("journals", "uploads", "agents", "spool", "taking"):
        for path in (world.metastore / folder).rglob("*"):
            if path.is_file():
                yield f"in the metastore: {path.relative_to(world.metastore)}"
    for path in [*world.metastore.rglob("*.tmp"), world.metastore / "compaction.json"]:
        if path.exists():
            yield f"in the metastore: {path.relative_to(world.metastore)}"
    pushed = {name for control_files in evidence.control_files.values() for name in control_files}
    for path in (world.metastore / "batches").glob("*.json"):
        if path.name not in pushed:
            yield f"in the metastore: a batch that was never pushed: {path.name}"
    if not any(ended.struck for ended in world.story) and (world.metastore / "damaged").exists():
        yield "in the metastore: damaged/, and nobody was struck"


# Afterwards.

@promise("taken away last", "A source is archived or deleted when all destinations have it, once.")
def taken_away_last(evidence):
    world = evidence.world
    for file in world.files:
        if not world.is_latest(file):
            continue
        takes = file.fate != "kept out" and file.after != "keep"
        there = (world.landing / file.path).exists()
        if file.fate == "delivered" and there == (takes or file.path in world.gone):
            yield f"{file.path} {'is still' if there else 'is not'} in the landing area"
        copies = sum(path.is_file() and path.read_bytes() == file.content
                     for path in world.archive.rglob("*"))
        wanted = takes and file.after == "archive"
        if copies != wanted and (file.fate != "open" or copies > wanted):
            yield f"{file.path} is in the archive {copies} times"
        moved = sum(event.content == file.content for event in evidence.of("archive", "appeared"))
        # OpenSSH renames by link(2) and unlink(2), and takes the link back if that fails.
        undone = len(evidence.of("archive", "left"))
        if moved > 1 + undone:
            yield f"{file.path} came into the archive {moved} times"
        if takes:
            yield from left_before_it_was_delivered(evidence, file)


def left_before_it_was_delivered(evidence, file):
    """Only while FILE has the name: what lands, and leaves, later is another version."""
    landed = [number for number, event in enumerate(evidence.events)
              if (event.place, event.what, event.path) == ("landing", "appeared", file.path)
              and event.content == file.content]
    left = [number for number, event in enumerate(evidence.events)
            if (event.place, event.what, event.path) == ("landing", "left", file.path)
            and number > max(landed, default=-1)]
    for destination in file.destinations:
        arrivals = evidence.arrivals(destination, file)
        if left and (not arrivals or left[0] < arrivals[0]):
            yield f"{file.path} left the landing area before {destination} had it"
