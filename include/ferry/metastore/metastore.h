// The metastore: what landed (file_registry) and what became of it (transfer_logs).
//
// The interface is the same for every backend. The embedded one keeps two JSON-lines tables in a
// directory (metastore/README.md). All members are thread-safe; several processes may work on one
// metastore at once.
//
// Errors: kBusy (locked by others for longer than lock_timeout), kCorrupt (a newer format, or not a
// metastore), kDenied and kIo. Damaged rows are no error: they are logged, kept, and left out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"

namespace ferry::metastore {

using WantedBy =
    std::function<std::vector<std::string_view>(std::string_view landing, const std::string& path)>;

struct Options {
  /// How long to wait for other writers before kBusy.
  std::chrono::milliseconds lock_timeout = std::chrono::seconds(30);
  /// The destinations that want every file. Empty: whichever the logs name; one delivery is enough.
  std::vector<std::string> destinations;
  /// Where it depends on the file: the names of the destinations that want it, instead of
  /// `destinations`. Asked once for each version of a file; the names outlive the metastore.
  WantedBy wanted_by;
  /// Other labels that the registry's `landing` column may have for an area, and the area's own:
  /// an area that was watched by its path before it got a name is the same area.
  std::map<std::string, std::string> landing_aliases;
  /// A file whose delivery failed this often is left alone until somebody asks for it by name.
  std::int64_t max_attempts = 5;
};

/// Where a file stands with one destination: the last row that transfer_logs has for the pair.
struct Delivery {
  std::string_view destination;
  TransferStatus status = TransferStatus::kInProgress;
  bool claim_alive = false;  // kInProgress only: the agent still runs
  Timestamp date;
  Timestamp claimed;  // when this attempt began, where the logs say so; else the same as date
  std::int64_t attempt = 0;
  std::int64_t bytes = 0;        // as sent
  std::int64_t duration_ms = 0;  // of the last attempt, once it ended
  std::string_view agent;
  std::string_view batch_id;
  std::string_view error_kind;     // kFailed only
  std::string_view error_message;  // kFailed only
};

/// What to call a file's standing with a destination, in this order of precedence.
enum class Standing : std::uint8_t {
  kQuarantined,  // and not delivered before
  kSuccessful,
  kInProgress,  // claimed by an agent that is alive
  kFailed,      // may be tried again until max_attempts
  kPending,     // ready; never tried, released after a failure, or its agent died
  kSuperseded,  // replaced by a newer version before it was delivered
  kMissing,     // gone from the landing area before it was delivered
  kUnrouted,    // ready, but no destination wants it
};
std::string_view to_string(Standing standing);  // "pending", …
std::optional<Standing> parse_standing(std::string_view text);

/// DELIVERY: null where transfer_logs has no row.
Standing standing_of(const FileRecord& file, const Delivery* delivery);

/// In place of max_attempts: the file was asked for by name.
inline constexpr std::int64_t kAskedFor = std::numeric_limits<std::int64_t>::max();

/// True where an agent that drains everything would take the file: ready, and pending or failed
/// with attempts left. What failed as abnormal is taken again when the registry has something newer
/// to say of it, or when it is asked for.
bool is_deliverable(const FileRecord& file, const Delivery* delivery, std::int64_t max_attempts);

/// A delivery that got its attempts back.
struct Release {
  std::string id;
  std::string destination;
};

/// The error kind of a failed delivery that was given up: nothing of it is left at the destination.
inline constexpr std::string_view kAbandoned = "abandoned";

/// For how long settled files stay in the tables where nobody says otherwise.
inline constexpr std::chrono::hours kKeepSettled{30 * 24};

/// What became of one file given to register_files.
struct Registration {
  enum class Outcome : std::uint8_t {
    kInserted,   // a new version
    kUpdated,    // the same bytes under a new identity: the record follows it
    kDuplicate,  // nothing to do
  };
  Outcome outcome = Outcome::kInserted;
  std::string id;
  std::string superseded_id;  // the pending older version that this one replaced; or empty
};

/// A version of a file that is to have another state.
struct StateChange {
  std::string id;
  FileState state = FileState::kReady;
  std::string reason;
};

/// An agent's exclusive right to deliver one file to one destination.
struct Claim {
  FileRecord file;
  std::int64_t attempt = 1;
};

struct ClaimRequest {
  std::string destination;
  std::string batch_id;
  std::string agent;             // a name that join() gave
  std::vector<std::string> ids;  // what to claim, in this order
  bool ignore_max_attempts = false;
};

/// Held by a running agent; when it goes, however the process ends, its claims are free.
class AgentPresence {
 public:
  virtual ~AgentPresence() = default;
  virtual const std::string& name() const = 0;
};

class Metastore {
 public:
  virtual ~Metastore() = default;

  // What a watcher, the Upload API and an import need.

  /// Enters files that were found and hashed; landing must be set, and the identity where it is
  /// known; ids are given by the metastore. The state is kReady, or kQuarantined with its reason.
  /// For each, against the latest version of its path: the same identity, or the same bytes in a
  /// file that is still there, is no new version; else a record is inserted and a pending older
  /// version becomes superseded. One transaction.
  virtual Result<std::vector<Registration>> register_files(std::vector<FileRecord> found) = 0;

  /// True where the latest version of PATH has this identity and is not marked missing: no need to
  /// read the file. Knows what this process has read so far; register_files decides.
  virtual bool is_registered(std::string_view landing, std::string_view path,
                             const FileIdentity& identity) = 0;

  /// True where the latest version of PATH is ready and has these bytes: whoever let them in, they
  /// need not be judged again. Knows what this process has read so far.
  virtual bool is_accepted(std::string_view landing, std::string_view path,
                           const Checksum& checksum) = 0;

  /// Marks the latest versions of these paths missing where they are ready. Returns how many.
  virtual Result<std::size_t> mark_missing(std::string_view landing,
                                           std::span<const std::string> paths,
                                           std::string_view reason) = 0;

  /// Ids that the registry has not are left out. Returns how many were known. One transaction.
  virtual Result<std::size_t> change_states(std::span<const StateChange> changes) = 0;

  /// Enters rows as they are, except those whose id is known already. Returns how many.
  virtual Result<std::size_t> import_files(std::vector<FileRecord> rows) = 0;

  // What an agent needs.

  /// Announces an agent. Its name is unique for all time: HOST-PID-…
  virtual Result<std::unique_ptr<AgentPresence>> join() = 0;

  /// Claims those of the requested files that are still deliverable, and appends their in_progress
  /// rows: two agents never hold the same file for a destination. One transaction.
  virtual Result<std::vector<Claim>> claim(const ClaimRequest& request) = 0;

  /// Gives failed deliveries of these files to DESTINATION (empty: to any) all their attempts back:
  /// they are pending again. Other ids are left alone. One transaction.
  virtual Result<std::vector<Release>> release(std::span<const std::string> ids,
                                               std::string_view destination) = 0;

  /// The same for deliveries that succeeded: they are to be made again. Only of the latest version
  /// of a path, and only while it is ready. One transaction.
  virtual Result<std::vector<Release>> resend(std::span<const std::string> ids,
                                              std::string_view destination) = 0;

  /// Appends rows as one group: one write, one sync.
  virtual Result<void> append_transfers(std::span<const TransferRecord> rows) = 0;

  // What everybody reads.

  using FileVisitor = std::function<void(const FileRecord& file, std::span<const Delivery>)>;
  /// Shows every file, oldest record first, with its deliveries, as of now. The visitor must not
  /// call the metastore and must not keep the views that it is shown.
  virtual Result<void> visit(const FileVisitor& visitor) = 0;

  /// All rows of both tables for one file, oldest first, archived ones included.
  struct History {
    std::vector<FileRecord> file;
    std::vector<TransferRecord> transfers;
  };
  virtual Result<History> history(std::string_view id) = 0;

  /// Another one than before where rows may have been added since, by whomever. Reads no row.
  virtual std::string revision() = 0;

  /// True while an agent may have something to deliver: what the `pending` marker says.
  virtual Result<bool> is_pending() = 0;

  /// Files of this id or path that compactions took out of the registry, oldest first.
  virtual Result<std::vector<FileRecord>> archived_files(std::string_view id_or_path) = 0;

  // Looking after it.

  struct Compaction {
    std::uint64_t rows_before = 0;  // of both tables
    std::uint64_t rows_after = 0;
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
  };
  /// Moves rows that nobody needs from the tables to the archive: those that later rows replaced,
  /// and files that have been settled since before SINCE. Settled is what no path's current version
  /// in a landing area is, nobody will deliver, and nobody has to decide about. A crash loses
  /// nothing; whoever works on the metastore meanwhile goes on.
  virtual Result<Compaction> compact(Timestamp since) = 0;

  /// Rows that could not be read so far.
  struct Damage {
    std::string table;
    std::uint64_t line = 0;  // counts from 1
    std::string reason;
  };
  virtual std::vector<Damage> damages() = 0;
};

/// The one that wants to know about DESTINATION among a file's deliveries, or null.
const Delivery* find_delivery(std::span<const Delivery> deliveries, std::string_view destination);

/// Opens the JSON-lines metastore in DIRECTORY; makes it where there is none.
Result<std::unique_ptr<Metastore>> open_metastore(const fs::path& directory, Options options);

/// The same for those who only look: makes and changes nothing; kNotFound where there is none.
Result<std::unique_ptr<Metastore>> open_metastore_for_reading(const fs::path& directory,
                                                              Options options);

}  // namespace ferry::metastore
