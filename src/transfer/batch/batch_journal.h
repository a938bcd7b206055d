// What an agent notes of a batch as it happens, so that whoever comes after a crash can complete
// it: list what was delivered, remove what was not, and send nothing twice.
//
// One file a batch, <batch id>.journal, JSON lines, locked for as long as its agent lives:
//
//   {"event":"batch","version":1,"batch":…,"agent":…,"destination":…,"directory":…,"control":…}
//   {"event":"begun","id":…,"attempt":…,"path":…,"size":…,"checksum":…,"part":…}
//                            before B hears of it; later lines say "of" and where this one stands
//   {"event":"part","part":…,"of":123}            one more part file
//   {"event":"delivered","of":123,"date":…,"ms":…}  B has acknowledged the rename
//   {"event":"failed","of":123,…}                 with the file's columns if it was never begun
//   {"event":"skipped","of":123,…}                likewise: B has another file of its name
//   {"event":"moved","of":123}                    it goes on in another batch, or, with another
//                                                 name, in a line of this one
//   {"event":"void","of":123}                     it was delivered, and is not there after all
//   {"event":"failures_recorded"}                 transfer_logs has what failed
//   {"event":"control","control":…}               where the control file is to go from here on
//   {"event":"try"}                               one more to push it: parts of its own may be
//   there
//   {"event":"pushing","part":…,"mark":…,…}       the whole control file is about to be renamed;
//                                                 the mark is at B until it is known what came of
//                                                 it
//   {"event":"not_pushed"}                        it was not, and the part may go
//   {"event":"pushed"}                            B has the control file
//
// and in a batch that is all or nothing: "uploaded"; "existing" (something had its name, which is
// kept if it is replaced: see kept_aside.h); "naming" (all are uploaded, from here on they get
// their names); "rolling_back" (they do not after all).
//
// Lines are appended and not synced: sync does that, for many at once, before B hears of a part
// file; what is lost of later lines can be seen at B. A last line that was cut off counts as not
// written.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/lock.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/transfer/control_file.h"
#include "ferry/transfer/routes.h"

namespace ferry::transfer {

/// What holds for all files of a batch.
struct BatchInfo {
  std::string id;
  std::string agent;
  std::string destination;
  std::string directory;     // at the destination, absolute
  std::string control_path;  // likewise
  Timestamp created;
  bool all_or_nothing = false;
  ControlFormat control = ControlFormat::kJson;
  Sidecar sidecar = Sidecar::kNone;

  bool operator==(const BatchInfo&) const = default;
};

/// What is to be delivered, as far as it can be known without its source.
struct BatchFile {
  std::string id;
  std::int64_t attempt = 1;
  std::string remote_path;  // absolute
  std::uint64_t size = 0;
  Checksum sha256;                        // as sent
  std::optional<Checksum> source_sha256;  // if a transform changes it
  std::string part_path;
  IfExists if_exists = IfExists::kReplace;

  bool operator==(const BatchFile&) const = default;
};

struct BatchFailure {
  std::string kind;
  std::string message;
  bool retryable = false;
  bool refused_here = false;  // abnormal for this destination alone

  bool operator==(const BatchFailure&) const = default;
};

/// How it ended.
struct BatchEnd {
  Timestamp date;
  std::chrono::milliseconds duration{};
  std::optional<BatchFailure> failure = {};  // absent: it was delivered, unless
  bool is_skipped = false;                   // B has another file of its name

  bool is_delivery() const { return !failure && !is_skipped; }
};

/// A control file that gets its name.
struct Pushing {
  std::string part_path;
  std::string mark_path = {};  // see mark_path of pushing.h; empty: B would not take one
  std::uint64_t size = 0;
  std::optional<Checksum> sha256 = {};  // absent in journals of earlier versions

  bool operator==(const Pushing&) const = default;
};

/// All members are thread-safe.
class BatchJournal {
 public:
  /// Where a begun line stands.
  using Place = std::uint64_t;

  static Result<std::unique_ptr<BatchJournal>> begin(const fs::path& directory,
                                                     const BatchInfo& info);

  /// Those in DIRECTORY, whoever's.
  static Result<std::vector<fs::path>> find(const fs::path& directory);

  /// Whether DIRECTORY has that of this batch, whoever's.
  static bool exists(const fs::path& directory, std::string_view batch_id);

  /// The one in FILE, if its agent has died, and as long as we live nobody else's. Null: its agent
  /// lives, or it has gone. kCorrupt if it cannot be read.
  static Result<std::unique_ptr<BatchJournal>> take_over(const fs::path& file);

  const BatchInfo& info() const { return info_; }

  Result<Place> note_begun(const BatchFile& file);
  Result<void> note_part(Place begun, const std::string& part_path);
  Result<void> note_end(Place begun, const BatchEnd& end);
  /// Of a file that was never begun, and is not delivered.
  Result<void> note_end(const BatchFile& file, const BatchEnd& end);
  /// It goes on in another batch, or in another line.
  Result<void> note_moved(Place begun);
  /// It is not at B after all, though it was once delivered.
  Result<void> note_void(Place begun);
  /// The failures are in transfer_logs.
  Result<void> note_failures_recorded();
  /// From here on info() says PATH. Not while another thread asks.
  Result<void> note_control_path(const std::string& path);
  /// One more try to push the control file and what goes with it. Its number: from 0, over all
  /// agents that this batch has had.
  Result<unsigned> note_try();
  Result<void> note_pushing(const Pushing& pushing);
  Result<void> note_not_pushed();
  Result<void> note_pushed();

  Result<void> note_uploaded(Place begun);
  Result<void> note_existing(Place begun);
  Result<void> note_naming();
  Result<void> note_rolling_back();

  /// Where the next line goes.
  Place end() const;
  /// What is noted so far survives a power cut. Waits for the disk; who calls it while another does
  /// shares its turn. After an error nobody knows what the disk has: the next call writes it anew.
  Result<void> sync();
  /// Whether what stands before PLACE does.
  bool is_synced(Place place) const { return synced_.load() >= place; }

  /// All is done.
  void remove();

  unsigned tries() const;
  bool is_pushed() const;
  /// What was about to be asked for, and nobody has noted what became of that.
  std::optional<Pushing> pushing() const;
  bool are_failures_recorded() const;
  bool is_naming() const;
  bool is_rolling_back() const;

  /// Those that have ended, in the order in which they did, but for what is void.
  using EndVisitor = std::function<Result<void>(const BatchFile& file, const BatchEnd& end)>;
  Result<void> visit_ended(const EndVisitor& visitor) const;

  /// What became of those that were begun, by where they stand.
  struct Marks {
    std::vector<Place> delivered;  // in order, as all of these
    std::vector<Place> failed;
    std::vector<Place> moved;
    std::vector<Place> skipped;
    std::vector<Place> voided;
    std::vector<Place> uploaded;
    std::vector<Place> existing;
    std::multimap<Place, std::string> more_parts;

    bool is_delivered(Place place) const { return has(delivered, place) && !has(voided, place); }
    bool is_open(Place place) const {
      return !is_delivered(place) && !has(failed, place) && !has(moved, place) &&
             !has(skipped, place);
    }
    static bool has(const std::vector<Place>& places, Place place);
  };
  Result<Marks> marks() const;
  /// Those that stand at FROM or behind it, until VISITOR returns false.
  using BegunVisitor = std::function<bool(Place place, const BatchFile& file)>;
  Result<void> visit_begun(Place from, const BegunVisitor& visitor) const;

 private:
  BatchJournal(fs::path path, FileLock lock, BatchInfo info)
      : path_(std::move(path)), lock_(std::move(lock)), info_(std::move(info)) {}

  Result<void> read(Place size);
  Result<Place> append(const std::string& line);
  Result<void> write_unsynced_anew();
  Result<void> note(std::string_view event, std::optional<Place> of);
  Result<void> mark(std::string_view event, bool& flag);
  bool has_voids() const;

  const fs::path path_;
  const FileLock lock_;  // and the file itself
  BatchInfo info_;
  mutable std::mutex mutex_;
  Place end_ = 0;         // where the next line goes
  std::string unsynced_;  // what stands before that and may not be on the disk
  unsigned tries_ = 0;
  bool is_pushed_ = false;
  std::optional<Pushing> pushing_;
  bool are_failures_recorded_ = false;
  bool is_naming_ = false;
  bool is_rolling_back_ = false;
  bool has_voids_ = false;
  bool is_broken_ = false;  // its last line is torn

  std::mutex sync_mutex_;
  bool is_doubtful_ = false;  // what has not been synced: that failed
  std::atomic<Place> synced_ = 0;
};

}  // namespace ferry::transfer
