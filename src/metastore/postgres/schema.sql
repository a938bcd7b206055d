-- ferry's metastore in PostgreSQL, schema version 1.
--
-- Two tables say everything, as in the JSON-lines metastore and with the same columns:
-- file_registry what landed, transfer_logs what became of it. Both are only appended to, and the
-- last row for a key wins ("row" has the order). Everything below them is derived from their rows
-- in the transaction that appends them: write through ferry, read whatever you like.
--
-- The tables lie in the first schema of the search_path. Several metastores in one database: one
-- schema each, and postgresql://…/db?options=-csearch_path%3Dname as the location.
--
-- Times are timestamptz where people look, and milliseconds since 1970 where only ferry does. Text
-- is compared byte by byte.

CREATE TABLE metastore (
  format_version integer NOT NULL,
  upgraded       timestamptz NOT NULL DEFAULT now(),
  only_one       boolean PRIMARY KEY DEFAULT true CHECK (only_one)
);

CREATE SEQUENCE file_registry_row;
CREATE SEQUENCE transfer_logs_row;

-- One row each time that a version of a path was entered or changed.
CREATE TABLE file_registry (
  row          bigint PRIMARY KEY DEFAULT nextval('file_registry_row'),
  id           text COLLATE "C" NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 200),
  path         text COLLATE "C" NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 4095 AND path !~ '^/'),
  updated_date timestamptz NOT NULL,
  checksum     text NOT NULL CHECK (checksum ~ '^(md5|sha1|sha256|sha512):[0-9a-f]+$'),
  landing      text COLLATE "C",             -- null: any area
  size         numeric(20) CHECK (size >= 0),  -- the identity of the bytes: all five or none
  mtime_ns     bigint,
  ctime_ns     bigint,
  inode        numeric(20),
  device       numeric(20),
  source       text NOT NULL CHECK (source IN ('watch', 'upload', 'import')),
  state        text NOT NULL CHECK (state IN ('ready', 'superseded', 'missing', 'quarantined')),
  reason       text,
  others       json,                         -- columns of imported rows that ferry does not know
  CHECK (num_nulls(size, mtime_ns, ctime_ns, inode, device) IN (0, 5))
);
CREATE INDEX file_registry_id ON file_registry (id);

-- One row for each status that a file reached with a destination.
CREATE TABLE transfer_logs (
  row               bigint PRIMARY KEY DEFAULT nextval('transfer_logs_row'),
  id                text COLLATE "C" NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 200),
  transfer_status   text NOT NULL CHECK (transfer_status IN ('in_progress', 'successful', 'failed')),
  transfer_date     timestamptz NOT NULL,
  destination       text COLLATE "C",        -- null: holds for each without rows of its own
  batch_id          text COLLATE "C",
  agent             text COLLATE "C",
  attempt           bigint NOT NULL CHECK (attempt >= 0),  -- 0 with failed: released
  bytes             bigint NOT NULL CHECK (bytes >= 0),
  duration_ms       bigint NOT NULL CHECK (duration_ms >= 0),
  remote_path       text,
  checksum          text,
  error             json,                    -- {kind, message, retryable}
  file_updated_date timestamptz,             -- in_progress: of the file's row that was claimed
  others            json
);
CREATE INDEX transfer_logs_id ON transfer_logs (id);

-- What a compaction took out of the two tables. Rows move one by one, when nobody needs them any
-- more and not when they are so old: a partition by date would keep the old row of a file that
-- waits, and with it its whole month.
CREATE TABLE file_registry_archive (LIKE file_registry INCLUDING CONSTRAINTS);
CREATE INDEX file_registry_archive_id ON file_registry_archive (id);
CREATE INDEX file_registry_archive_path ON file_registry_archive (path);
CREATE TABLE transfer_logs_archive (LIKE transfer_logs INCLUDING CONSTRAINTS);
CREATE INDEX transfer_logs_archive_id ON transfer_logs_archive (id);

-- Every version of a path as its last row has it. Whoever changes a file, or what became of it,
-- holds a lock on its row here.
CREATE SEQUENCE files_number;
CREATE TABLE files (
  number       bigint PRIMARY KEY,           -- by when it was first entered
  id           text COLLATE "C" NOT NULL UNIQUE,
  landing      text COLLATE "C" NOT NULL,    -- '': any area
  path         text COLLATE "C" NOT NULL,
  version      integer NOT NULL,             -- of two who enter the same version one fails
  state        text NOT NULL,
  updated_date timestamptz NOT NULL,
  registered   bigint NOT NULL,              -- ms; by its id, or by its first row
  size         bigint NOT NULL,
  row          bigint NOT NULL,              -- in file_registry
  UNIQUE (landing, path, version)
);
CREATE INDEX files_registered ON files (registered);
CREATE INDEX files_held ON files (number) WHERE state = 'quarantined';
CREATE INDEX files_gone ON files (updated_date) WHERE state IN ('superseded', 'missing');

-- Each file and destination as the last row of the logs has it.
CREATE TABLE deliveries (
  file              bigint NOT NULL,
  destination       text COLLATE "C" NOT NULL,  -- '': any
  transfer_status   text NOT NULL,
  transfer_date     timestamptz NOT NULL,
  claimed_date      timestamptz NOT NULL,       -- when this attempt began
  file_updated_date timestamptz,                -- of the file's row that was claimed
  attempt           bigint NOT NULL,
  bytes             bigint NOT NULL,
  duration_ms       bigint NOT NULL,
  agent             text COLLATE "C" NOT NULL,
  batch_id          text COLLATE "C" NOT NULL,
  error_kind        text NOT NULL,
  error_message     text NOT NULL,
  row               bigint NOT NULL,            -- in transfer_logs
  PRIMARY KEY (file, destination)
);
CREATE INDEX deliveries_date ON deliveries (destination, transfer_date, file)
  WHERE transfer_status = 'successful';
CREATE INDEX deliveries_undone ON deliveries (file) WHERE transfer_status <> 'successful';
CREATE INDEX deliveries_batch ON deliveries (batch_id, file);

-- Agents that have joined and not left. One lives while its session holds the advisory lock
-- (oid of this table, its number); one whose session has ended may come back under its name, and
-- gets another number then.
CREATE TABLE agents (
  number       integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name         text COLLATE "C" NOT NULL UNIQUE,
  joined       timestamptz NOT NULL DEFAULT now(),
  missed_since timestamptz                   -- when others first saw that nobody holds its lock
);

CREATE FUNCTION ferry_lock_space() RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT ('x' || lpad(to_hex('agents'::regclass::oid::bigint), 8, '0'))::bit(32)::integer
$$;

-- An agent whose session has ended need not have ended itself: the server was restarted or replaced
-- by its standby, the line was cut, an administrator ended the session. It may not have noticed yet,
-- and what it has asked the destination for may still be done. So it keeps its claims for longer
-- than it trusts a server that it does not hear. A standby does not know the locks.
CREATE VIEW living_agents AS
  SELECT name, has_lock, joined FROM (
    SELECT name, missed_since, joined, number IN (
      SELECT objid::bigint FROM pg_locks
      WHERE locktype = 'advisory' AND objsubid = 2 AND granted
        AND classid = 'agents'::regclass::oid
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS has_lock
    FROM agents) AS known
  WHERE has_lock OR pg_is_in_recovery()
    OR coalesce(missed_since, 'infinity') > clock_timestamp() - interval '15 seconds';

-- Where files stand, as somebody sees it who knows certain destinations: a route. Files that are
-- judged alike form a class, and classes know their sums. What a row of the pair's own says is
-- delivered has no standing: it has its sums in delivered_sums.
CREATE TABLE routes (
  id          integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  fingerprint text NOT NULL UNIQUE,
  judged      bigint NOT NULL DEFAULT 0,     -- up to which file, until it is complete
  is_complete boolean NOT NULL DEFAULT false,
  used        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE classes (
  id           integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  route        integer NOT NULL REFERENCES routes ON DELETE CASCADE,
  destination  text COLLATE "C" NOT NULL,
  standing     smallint NOT NULL,            -- as if agents were dead; see rules.h
  status       smallint NOT NULL,            -- -1: no row
  error_kind   text NOT NULL,
  is_open      boolean NOT NULL,
  is_by_any    boolean NOT NULL,
  is_due_to_go boolean NOT NULL,
  UNIQUE (route, destination, standing, status, error_kind, is_open, is_by_any, is_due_to_go)
);

CREATE TABLE standings (
  class   integer NOT NULL,                  -- checked by no one: a route goes only when nobody writes
  file    bigint NOT NULL,
  updated bigint NOT NULL,                   -- ms
  size    bigint NOT NULL,
  PRIMARY KEY (class, file)
);
CREATE INDEX standings_file ON standings (file);

-- Files that changed since a route judged them.
CREATE TABLE unjudged (
  route integer NOT NULL,
  file  bigint NOT NULL
);
CREATE INDEX unjudged_route ON unjudged (route);

-- What an agent may deliver now, as each route has it: for people, and for schedulers that wait for it.
CREATE VIEW pending AS
  SELECT c.route, c.destination, f.id, f.landing, f.path, f.size, f.updated_date
    FROM classes c JOIN standings s ON s.class = c.id JOIN files f ON f.number = s.file
    LEFT JOIN deliveries d
      ON d.file = f.number AND d.destination = c.destination AND d.transfer_status = 'in_progress'
    WHERE c.is_open AND NOT c.is_due_to_go
      AND (d.agent IS NULL OR d.agent NOT IN (SELECT name FROM living_agents));

-- Sums, in parts: each transaction adds its own, so that none waits for another.
CREATE TABLE class_sums (
  class integer NOT NULL,
  files bigint NOT NULL,
  bytes bigint NOT NULL
);

CREATE TABLE delivered_sums (
  destination text COLLATE "C" NOT NULL,
  files       bigint NOT NULL,
  bytes       bigint NOT NULL,
  durations   text NOT NULL,                 -- counts of a histogram, and their sum in ms
  latencies   text NOT NULL
);

INSERT INTO metastore (format_version) VALUES (1);
