#!/usr/bin/env python3
"""Checks that includes point downwards only, and that some headers are each used in one file."""

import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "sftp": {"base"},
    "metastore": {"base"},
    "landing": {"metastore", "sftp", "base"},
    "transfer": {"metastore", "sftp", "base"},
    "http": {"landing", "metastore", "base"},
    "app": {"http", "landing", "transfer", "metastore", "sftp", "base"},
}
IN_ONE_FILE = ("libssh2.h", "sys/inotify.h", "sqlite3.h", "libpq-fe.h", "absl/time/time.h")
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    violations, users = [], {header: [] for header in IN_ONE_FILE}
    for top in (root / "include" / "ferry", root / "src"):
        for source in sorted(path for path in top.rglob("*") if path.suffix in (".h", ".cpp")):
            module = source.relative_to(top).parts[0]
            for number, line in enumerate(source.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                header, where = match.group(1), f"{source.relative_to(root)}:{number}"
                if header in users:
                    users[header].append((where, source))
                is_public = header.startswith("ferry/")
                target = header.removeprefix("ferry/").split("/")[0]
                if target not in ALLOWED or target == module:
                    continue
                if target not in ALLOWED.get(module, set()):
                    violations.append(f"{where}: {module} must not include {header}")
                elif not is_public:
                    violations.append(f"{where}: {header} is private to {target}")
    for header, uses in users.items():
        if len(uses) > 1 or any(source.suffix != ".cpp" for _, source in uses):
            violations += [f"{where}: {header} belongs in one .cpp" for where, _ in uses]
    print("\n".join(violations), end="\n" if violations else "")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
