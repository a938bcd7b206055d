// What index.sqlite looks like. It is nobody's interface: another version of the program may make
// it otherwise, and makes it anew when it finds this one.
#pragma once

namespace ferry::metastore {

/// A greater one with every change of what is in the tables, or of what they mean.
inline constexpr int kIndexVersion = 3;

/// Times are milliseconds since 1970, sizes and offsets bytes; states, statuses and standings are
/// the numbers of their enumerations.
inline constexpr const char* kIndexTables = R"(
CREATE TABLE source(        -- how far each table was read, and by what it is recognised
  name TEXT PRIMARY KEY, device INTEGER, inode INTEGER, offset INTEGER, lines INTEGER,
  size INTEGER, mtime_ns INTEGER, digest TEXT,
  keys INTEGER) WITHOUT ROWID;  -- of which there is a current row

CREATE TABLE name(          -- of landing areas, destinations, agents, batches, kinds of errors
  id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

CREATE TABLE file(          -- a version of a path, numbered by when the registry named it first
  number INTEGER PRIMARY KEY,
  id NOT NULL,              -- a UUID as 16 bytes, any other as text
  landing INTEGER, path TEXT, state INTEGER, updated INTEGER,
  registered INTEGER,       -- by its id, or by its first row
  size INTEGER,
  offset INTEGER,           -- of its current row in the table
  older BLOB);              -- offsets of its last few earlier rows, 8 bytes each

CREATE UNIQUE INDEX file_id ON file(id);

-- The parts of three characters of the paths of the files up to LAST, for those who search: each
-- once a file, and without the paths (text_index.h).
CREATE VIRTUAL TABLE path_part USING fts5(
  path, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1');
CREATE TABLE path_parts_until(last INTEGER NOT NULL);
INSERT INTO path_parts_until VALUES(0);

CREATE TABLE delivery(      -- a file and a destination that the logs name
  file INTEGER, destination INTEGER, status INTEGER, attempt INTEGER, date INTEGER,
  claimed INTEGER,          -- when the attempt began
  file_updated INTEGER,     -- the file's date when it was claimed, if the logs have it
  agent INTEGER, batch INTEGER, error_kind INTEGER, bytes INTEGER, duration INTEGER,
  offset INTEGER, older BLOB,
  PRIMARY KEY(file, destination)) WITHOUT ROWID;

CREATE TABLE older(         -- offsets of earlier rows of what has many, in groups
  file INTEGER, destination INTEGER,  -- -1: of the registry
  first INTEGER,            -- of its offsets
  offsets BLOB, PRIMARY KEY(file, destination, first)) WITHOUT ROWID;

CREATE TABLE success(       -- sums over the successful deliveries to each destination
  destination INTEGER PRIMARY KEY, files INTEGER, bytes INTEGER, durations BLOB, latencies BLOB);

CREATE TABLE orphan(        -- rows of the logs whose file the registry does not know, or not yet
  id NOT NULL, offset INTEGER);

CREATE TABLE damage(        -- rows that cannot be read
  source TEXT, line INTEGER, offset INTEGER, reason TEXT);

-- Where files stand, as somebody sees it who knows certain destinations (Demand).

CREATE TABLE perspective(
  id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE,
  judged INTEGER,           -- up to which change
  used INTEGER);

CREATE TABLE class(         -- files that are judged alike
  id INTEGER PRIMARY KEY, perspective INTEGER, destination INTEGER, standing INTEGER,
  status INTEGER, agent INTEGER, error_kind TEXT, is_open INTEGER, is_by_any INTEGER,
  is_due_to_go INTEGER, files INTEGER, bytes INTEGER);

CREATE UNIQUE INDEX class_judgement ON class(
  perspective, destination, standing, status, agent, error_kind, is_open, is_by_any,
  is_due_to_go);

CREATE TABLE standing(      -- every file and destination, but for what a row of the pair's own
  class INTEGER, file INTEGER, updated INTEGER, size INTEGER,  -- says is delivered
  PRIMARY KEY(class, file)) WITHOUT ROWID;

CREATE TABLE changed(       -- files that some perspective has to judge anew
  number INTEGER PRIMARY KEY,  -- of the last of them: all changes are counted
  files BLOB);              -- their numbers, 8 bytes each
)";

inline constexpr const char* kIndexLookups = R"(
CREATE INDEX file_path ON file(landing, path);
CREATE INDEX file_held ON file(state) WHERE state = 3;
CREATE INDEX file_registered ON file(registered, number);
CREATE INDEX file_gone ON file(updated) WHERE state IN (1, 2);
CREATE INDEX delivery_date ON delivery(destination, date) WHERE status = 1;
CREATE INDEX delivery_undone ON delivery(file) WHERE status <> 1;
CREATE INDEX delivery_batch ON delivery(batch);
CREATE INDEX orphan_id ON orphan(id);
CREATE INDEX standing_file ON standing(file);
)";

}  // namespace ferry::metastore
