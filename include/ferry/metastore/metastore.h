// The metastore: what landed (file_registry) and what became of it (transfer_logs).
//
// It is asked, not walked: what a question costs follows its answer, not what the tables ever held.
// Nobody but register_files, claim and their like decides anything: what a question answered may be
// otherwise by the time that somebody acts on it. rules.h has the rules that they follow.
//
// The interface is the same for every backend. The embedded one keeps two JSON-lines tables in a
// directory (metastore/README.md). All members are thread-safe, and several processes may work on
// one metastore at once. Visitors are called with nothing locked: they may do I/O, take their time,
// and ask the metastore other things.
//
// Errors, from every member: kBusy (locked by others for longer than lock_timeout), kCorrupt (a
// newer format, or not a metastore), kDenied and kIo. Damaged rows are no error: they are logged,
// kept, and left out.
#pragma once

#include <array>
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
#include "ferry/base/histogram.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/records.h"
#include "ferry/metastore/rules.h"

namespace ferry::metastore {

/// Which files to show. All conditions hold together; one that is left empty holds for all.
struct FileQuery {
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  std::vector<std::string> names{};     // with one of these ids or paths
  std::vector<std::string> landings{};  // of one of these areas, by their names
  std::vector<std::string> below{};     // in one of these directories of the area, at any depth
  std::string text{};                   // in the path
  std::vector<FileState> states{};
  bool latest_versions =
      false;            // only the latest version of each path, and that by landing and path
  TimeRange updated{};  // of updated_date
  /// Of when it was first registered: by its id, or by its first row. With it the order is the
  /// store's own.
  TimeRange registered{};

  /// Files that stand like this with DESTINATION, or with any that the demand names if that is
  /// empty.
  std::vector<Standing> standings{};
  std::string destination{};
  /// Files that an agent may take for DESTINATION: see is_deliverable.
  bool deliverable = false;
  /// Files of which an agent, since dead or failed, may have left a part at DESTINATION: see
  /// leaves_stale_part.
  bool leaves_stale_part = false;

  /// Files that everybody has and that are to be taken out of their landing area: see Demand.
  bool due_to_go = false;

  bool newest_first = false;  // by the order in which they were first registered
  /// The id of a file: begins behind it. kNotFound if it is not there.
  std::string after{};
  std::size_t limit = kNoLimit;
};

/// Which deliveries to show: of each file and destination the last row that the logs have. All
/// conditions hold together.
struct TransferQuery {
  std::string destination{};               // empty: any
  std::string batch_id{};                  // empty: any
  std::vector<TransferStatus> statuses{};  // empty: any
  TimeRange date{};                        // of transfer_date
  TimeRange updated{};                     // of the file's updated_date
};

/// What became of the files, with one destination.
struct Totals {
  struct Count {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;  // as registered
  };
  struct Oldest {
    Timestamp since;  // its updated_date
    std::string path;
  };

  std::string destination;  // empty: none is known, or none wants the files
  std::array<Count, kStandings> by_standing{};
  Count given_up;  // of those that failed: no agent takes them before somebody retries
  std::map<std::string, std::uint64_t> failed_by_kind;  // see known_error_kind
  std::optional<Oldest> oldest_pending;
  // Of those that were successful.
  std::uint64_t bytes_sent = 0;
  std::optional<Timestamp> last_success;
  Histogram durations;  // once begun
  Histogram latencies;  // from registration on

  const Count& operator[](Standing standing) const {
    return by_standing[static_cast<std::size_t>(standing)];
  }
};

/// A delivery that got its attempts back.
struct Release {
  std::string id;
  std::string destination;
};

/// A version of a file that is to have another state.
struct StateChange {
  std::string id{};
  FileState state = FileState::kReady;
  std::string reason{};
};

/// An agent's exclusive right to deliver one file to one destination.
struct Claim {
  FileRecord file;
  std::int64_t attempt = 1;
};

struct ClaimRequest {
  std::string destination{};
  std::string batch_id{};
  std::string agent{};  // a name that join() gave
  /// What to claim, in this order, whatever QUERY says. Without: what QUERY finds, oldest first and
  /// at most its limit, among what is deliverable to DESTINATION.
  std::vector<std::string> ids{};
  FileQuery query{};
  enum class Answer : std::uint8_t {
    kTake,
    kLeave,
    kEnough,  // nor any of those that follow
  };
  /// Is asked of each file that would be claimed, if that needs more than a query can say. Called
  /// while others wait: it may neither do I/O nor call the metastore.
  std::function<Answer(const FileRecord& file, const Delivery* delivery)> accept{};
  bool ignore_max_attempts = false;
};

/// Held by a running agent; when it goes, however the process ends, its claims are free.
class AgentPresence {
 public:
  virtual ~AgentPresence() = default;
  virtual const std::string& name() const = 0;

  enum class Tenure : std::uint8_t {
    kHeld,    // the claims are the agent's, and will be for some seconds
    kUnsure,  // they may not be: the metastore does not answer. It may turn into either of the
              // others
    kLost,    // they are not any more: somebody else may have them. It stays so
  };
  /// An agent asks before each step that others would see: the name that a file gets, the control
  /// file, the record. Unsure, it waits; lost, it takes no such step any more, joins anew, and
  /// looks at the destination for what became of what it had in hand. Thread-safe; never waits.
  virtual Tenure tenure() const { return Tenure::kHeld; }
  /// Readable (poll(2): POLLIN) once it is lost; -1 if it cannot be. Do not read from it.
  virtual int lost_fd() const { return -1; }
};

/// Tells of rows that others, or we, have added.
class ChangeNotice {
 public:
  virtual ~ChangeNotice() = default;
  /// Readable (poll(2): POLLIN) from then on. Do not read from it.
  virtual int fd() const = 0;
  /// Forgets what it was told so far: to be called before looking at what there is.
  virtual void clear() = 0;
};

/// All rows of both tables for one version of a file, oldest first, archived ones included.
struct History {
  std::vector<FileRecord> file;
  std::vector<TransferRecord> transfers;
};

/// Looking after a metastore.
class Upkeep {
 public:
  virtual ~Upkeep() = default;

  struct Compaction {
    std::uint64_t rows_before = 0;  // of both tables
    std::uint64_t rows_after = 0;
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
  };
  /// Moves rows that nobody needs from the tables to the archive: those that later rows replaced,
  /// and files that have been settled since before SINCE (see is_settled). A crash loses nothing;
  /// whoever works on the metastore meanwhile goes on.
  virtual Result<Compaction> compact(Timestamp since) = 0;

  /// Rows that cannot be read.
  struct Damage {
    std::string table;
    std::uint64_t line = 0;  // counts from 1
    std::string reason;
  };
  virtual Result<std::uint64_t> damaged_rows() = 0;
  virtual Result<std::vector<Damage>> damages(std::size_t limit) = 0;

  /// Rows of the logs whose file the registry does not know: a registry was lost, or is older than
  /// the logs.
  struct Orphans {
    std::uint64_t rows = 0;
    bool registry_is_empty = false;
  };
  /// A database, where that would mean reading all of them, counts them only if its registry is
  /// empty.
  virtual Result<Orphans> orphans() = 0;

  // A metastore is copied row by row while nobody works with it.

  using FileRowVisitor = std::function<Result<void>(FileRecord row)>;
  using TransferRowVisitor = std::function<Result<void>(TransferRecord row)>;
  /// All rows of a table that can be read, those of the archive first, in their order.
  virtual Result<void> visit_file_rows(const FileRowVisitor& visitor) = 0;
  virtual Result<void> visit_transfer_rows(const TransferRowVisitor& visitor) = 0;
  /// Appends rows as they are. One transaction.
  virtual Result<void> append_file_rows(std::span<const FileRecord> rows) = 0;
  virtual Result<void> append_transfer_rows(std::span<const TransferRecord> rows) = 0;

  /// Compares what is kept to answer sooner with what the tables say, in every field. Returns the
  /// differences, in words; none: all is well. Reads everything.
  virtual Result<std::vector<std::string>> verify() = 0;
};

class Metastore {
 public:
  virtual ~Metastore() = default;

  /// From now on questions are answered, and the marker is kept, as DEMAND would have it.
  virtual void set_demand(Demand demand) = 0;

  // What a watcher, the Upload API and an import need.

  /// Enters files that were found and hashed; landing must be set, and the identity where it is
  /// known; ids are given by the metastore. The state is kReady, or kQuarantined with its reason.
  /// For each, against the latest version of its path: the same identity, or the same bytes in a
  /// file that is still there, or in the very file that is held, is not a new version; else a
  /// record is inserted and a pending older version becomes superseded. One transaction.
  virtual Result<std::vector<Registration>> register_files(std::vector<FileRecord> found) = 0;

  /// The latest version of each path, in the order of PATHS; nothing for one that is not
  /// registered.
  virtual Result<std::vector<std::optional<FileRecord>>> latest(
      std::string_view landing, std::span<const std::string> paths) = 0;

  /// Marks the latest versions of these paths missing if they are ready. Returns how many.
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

  /// Takes the place of the agent of this name, which has ended, as the caller knows: what nobody
  /// has taken of its claims is held again, and free when the presence goes. kBusy if it runs.
  virtual Result<std::unique_ptr<AgentPresence>> join_as(const std::string& name) = 0;

  /// Which of these files AGENT, which runs, still holds for DESTINATION: nobody has taken it, or
  /// another version of its path, while the agent was not there. It stays so while it runs.
  virtual Result<std::vector<bool>> still_holds(const std::string& agent,
                                                const std::string& destination,
                                                std::span<const std::string> ids) = 0;

  /// Claims those of the requested files that are still deliverable, and appends their in_progress
  /// rows: two agents never hold the same file for a destination, nor two versions of one path. A
  /// version that was replaced becomes superseded instead. One transaction.
  virtual Result<std::vector<Claim>> claim(const ClaimRequest& request) = 0;

  /// Gives failed deliveries of these files to DESTINATION (empty: to any) all their attempts back:
  /// they are pending again. Other ids are left alone. One transaction.
  virtual Result<std::vector<Release>> release(std::span<const std::string> ids,
                                               std::string_view destination) = 0;

  /// The same for deliveries that succeeded: they are to be made again. Only of the latest version
  /// of a path, and only while it is ready. One transaction.
  virtual Result<std::vector<Release>> resend(std::span<const std::string> ids,
                                              std::string_view destination) = 0;

  /// Appends rows as one group: one write, one sync. A version that was replaced while an agent
  /// held it, and has failed, becomes superseded.
  virtual Result<void> append_transfers(std::span<const TransferRecord> rows) = 0;

  /// The same, but for rows whose file another running agent than theirs holds for their
  /// destination, or that has been delivered there: they are left out. Returns how many were
  /// appended.
  virtual Result<std::size_t> append_unless_held(std::span<const TransferRecord> rows) = 0;

  // What everybody asks.

  /// The records with these ids, in their order; nothing for one that is not registered.
  virtual Result<std::vector<std::optional<FileRecord>>> find(std::span<const std::string> ids) = 0;

  /// Files with all their deliveries. The views end with the call.
  using FileVisitor = std::function<void(const FileRecord& file, std::span<const Delivery>)>;
  virtual Result<void> visit(const FileQuery& query, const FileVisitor& visitor) = 0;

  /// One of a file's deliveries each time, by age of the file; successful ones to one destination
  /// from some date on by their dates.
  using TransferVisitor = std::function<void(const FileRecord& file, const Delivery& delivery)>;
  virtual Result<void> visit_transfers(const TransferQuery& query,
                                       const TransferVisitor& visitor) = 0;

  /// For each destination that the demand names; if it names none, for each that the logs name. One
  /// without a destination, if there are files that none wants, or that none has been tried for.
  virtual Result<std::vector<Totals>> totals() = 0;
  /// For one alone.
  virtual Result<Totals> totals(const std::string& destination) = 0;

  /// Those that the logs name, sorted; "" is among them if rows name none.
  virtual Result<std::vector<std::string>> logged_destinations() = 0;

  /// Every version with this id or path, by age, archived ones included.
  virtual Result<std::vector<History>> history(std::string_view id_or_path) = 0;

  /// True while an agent may have something to deliver: what the `pending` marker says.
  virtual Result<bool> is_pending() = 0;

  virtual Result<std::unique_ptr<ChangeNotice>> watch_changes() = 0;

  virtual Upkeep& upkeep() = 0;
};

struct Options {
  /// How long to wait for other writers before kBusy.
  std::chrono::milliseconds lock_timeout = std::chrono::seconds(30);
  Demand demand{};
  /// Told while the tables are read anew, which takes a while if they are large: BYTES of TOTAL
  /// are done. Called while others may wait.
  std::function<void(std::uint64_t bytes, std::uint64_t total)> on_reading{};
};

/// Opens the metastore at LOCATION: the JSON-lines metastore in a directory, or one in the database
/// at a URL that begins with postgresql:// or postgres:// (metastore/postgresql.md). It is made if
/// there is none. kInvalid: another URL, or a password in it.
Result<std::unique_ptr<Metastore>> open_metastore(const std::string& location, Options options);

/// The same for those who only look: makes no metastore, and changes none. kNotFound if there is
/// none.
Result<std::unique_ptr<Metastore>> open_metastore_for_reading(const std::string& location,
                                                              Options options);

/// kInvalid: a URL of another kind, or one with a password in it, which the message does not show.
Result<void> check_location(const std::string& location);

/// What becomes of a metastore's format or schema.
struct Upgrade {
  int before = 0;  // 0: there was none
  int after = 0;
};
/// Brings the metastore at LOCATION to the version that this ferry knows. kCorrupt: it is newer.
Result<Upgrade> upgrade_metastore(const std::string& location, Options options);

}  // namespace ferry::metastore
