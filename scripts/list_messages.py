#!/usr/bin/env python3
"""Prints every text of the sources that a user can see as an error or a warning, one a line.

Such a text is what goes into make_error, errno_error and the log's warnings and errors, and, below the
app, where no help is printed, every other text of several words: it becomes part of a message later.
Placeholders are written as …; texts that only join other texts are left out.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CALLS = ("make_error", "errno_error", "log::warning", "log::error", "complain", "wrong_type")
NAMES_AN_ACTION = ("errno_error", "log::warning", "log::error")  # where one word is enough
# What is said to SQLite and PostgreSQL.
SQL = re.compile(r"\W*(?:\w+ )?(?:SELECT|CREATE|INSERT|UPDATE|DELETE|PRAGMA|BEGIN|WITH|FROM)\b"
                 r"|.*(?:\$\d|::text|\bAND\b|ORDER BY|UNION ALL|READ ONLY|READ WRITE|READ COMMITTED|SKIP LOCKED)"
                 r"|(?:SET|LOCK TABLE) |[fd]\.\w+ (?:=|>=|<)|ferry …$", re.DOTALL)
# What others write, by which we know it.
FOREIGN = re.compile("-----|@@@|PRIVATE KEY|Bytes per second:|Authenticated to|debug1: |kex: |Their offer"
                     "|authentication failed|no password supplied|no pg_hba.conf entry"
                     "|permission denied for database|invalid connection option|invalid port number"
                     "|invalid sslmode value|definition of service|not permitted to")
# What is said to programs that speak HTTP: fields, and the phrases of status codes.
PROTOCOL = re.compile(r"HTTP/1\.1 |Content-Length: |Connection: |Bearer realm|default-src |text/plain;|sha-256=10|"
                      r"HTTP Version Not Supported$|id: …|…, … … … …:…:… GMT|(?:[A-Z][a-z]+ )+[A-Z][a-z]+$")

TOKEN = re.compile(r"""
    //[^\n]* | /\*.*?\*/                 # comments
  | R"(\w*)\(.*?\)\1"                    # raw strings
  | "(?:[^"\\\n]|\\.)*"                  # strings
  | '(?:[^'\\\n]|\\.)+'                  # characters
  | [A-Za-z_][\w:]*                      # names
  | \S""", re.DOTALL | re.VERBOSE)


def tokens(text):
    """Names, punctuation and literals of C++; neighbouring literals become one."""
    out = []
    for match in TOKEN.finditer(re.sub(r"(?m)^\s*#(?:.*\\\n)*.*$", "", text)):
        token = match[0]
        if token.startswith(("//", "/*")):
            continue
        if token.startswith('"') and out and out[-1].startswith('"'):
            out[-1] = out[-1][:-1] + token[1:]
        else:
            out.append(token)
    return out


def message(literal):
    text = literal[1:-1].replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n")
    marks = {"{{": "{", "}}": "}"}
    return re.sub(r"\{\{|\}\}|\{[^{}]*\}", lambda mark: marks.get(mark[0], "…"), text).strip()


def is_prose(text):
    words = re.findall(r"[A-Za-z]{2,}", text)
    return (len(words) > 1 or (words and "…" in text)) and " " in text and not any(
        what.match(text) for what in (FOREIGN, SQL, PROTOCOL))


def messages_of(path):
    """The texts of one file, each once."""
    inside_app = path.parts[len(ROOT.parts) + 1] == "app"
    found, depth, call = {}, 0, None  # call: (name, depth, its literals so far)
    previous = ""
    for token in tokens(path.read_text()):
        if token == "(":
            depth += 1
            if call is None and previous in CALLS:
                call = (previous, depth, [])
        elif token == ")":
            if call and depth == call[1]:
                call = None
            depth -= 1
        elif token.startswith('"'):
            text = message(token)
            if call:
                call[2].append(text)
                is_first = len(call[2]) == 1 and (previous in "(," or not call[0].startswith("log::"))
                is_action = is_first and call[0] in NAMES_AN_ACTION
                if is_action or is_prose(text) and (is_first or not call[0].startswith("log::")):
                    found[text] = None
            elif not inside_app and is_prose(text):
                found[text] = None
        previous = token
    return list(found)


def all_messages():
    """By text: the files that have it."""
    found = {}
    sources = [path for top in ("src", "include") for path in (ROOT / top).rglob("*.*")
               if path.suffix in (".cpp", ".h") and "manual" not in path.relative_to(ROOT).parts]
    for path in sorted(sources):
        for text in messages_of(path):
            found.setdefault(text, []).append(str(path.relative_to(ROOT)))
    return found


if __name__ == "__main__":
    for text, files in all_messages().items():
        print(f"{text}  [{', '.join(files)}]" if "-v" in sys.argv else text)
