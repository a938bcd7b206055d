// The agent: drains what is pending to one destination.
//
//   select → claim → check the source → deliver → push the control file → record
//
// Files are claimed as the connections work them off, and go out in batches; a batch is brought to
// its end while the next is under way. What happens is noted in the batch's journal as it happens:
// whoever comes after a crash completes the batch first.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/outcome.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/connect.h"
#include "ferry/transfer/bandwidth.h"
#include "ferry/transfer/control_file.h"
#include "ferry/transfer/landing_places.h"
#include "ferry/transfer/name_template.h"
#include "ferry/transfer/routes.h"

namespace ferry::transfer {

struct Destination {
  std::string name;  // what the logs' `destination` column says
  sftp::ConnectOptions connect;
  std::string directory = ".";               // where files go; created where missing
  std::string control_directory;             // where control files go; empty: the same
  std::optional<NameTemplate> control_name;  // without: control_file_name of the batch's id
  ControlFormat control = ControlFormat::kJson;
  fs::path control_sign;  // a private key, as `ssh-keygen -Y sign -f` takes it; empty: none
  Sidecar sidecar = Sidecar::kNone;
  std::chrono::milliseconds control_keep{0};  // how long old control files stay there; 0: for ever
  std::chrono::milliseconds part_keep{0};     // how long parts that nobody writes to do; likewise
  /// The most connections at once; no more are made than the work needs and the server takes.
  unsigned connections = 6;
  BandwidthLimit bandwidth;  // over all connections together
};

/// The error kind that transfer_logs has of a file that was skipped, see IfExists.
inline constexpr std::string_view kSkippedKind = "skipped";

/// What a batch's control file is called there. kInvalid if the template gives no name.
Result<std::string> control_file_name(const Destination& destination, std::string_view batch_id,
                                      Timestamp created);

/// Which of the deliverable files to take. All conditions hold together; without any: everything.
struct Selection {
  TimeRange updated;               // of updated_date
  std::vector<std::string> names;  // paths or ids; a file named here is taken whatever its attempts
};

enum class Fsync : std::uint8_t { kWhereOffered, kNever };

/// How a part file is held against what was to be sent, before it gets its final name.
enum class Verify : std::uint8_t {
  kNone,           // the server's word for each write
  kSize,           // and the size that the server has
  kReadback,       // and the checksum of what the server gives back: costs the line once more
  kRemoteCommand,  // or the SHA-256 that verify_command works out there: needs a shell
};

enum class BatchMode : std::uint8_t {
  kIndependent,   // each file for itself; the control file lists what was delivered
  kAllOrNothing,  // names are given when all files are there; one failure undoes the batch
};

/// Within one run. Permanent errors are never retried.
struct Retries {
  /// For a file: failures that may pass (remote full, an I/O error). For a connection: ends and
  /// failed dials in a row without a byte acknowledged in between.
  unsigned limit = 5;
  /// Doubled from one try to the next, up to the longest; half of it is left to chance.
  std::chrono::milliseconds first_delay{500};
  std::chrono::milliseconds longest_delay = std::chrono::seconds(30);
};

/// When a batch is complete, however much is pending. 0: no bound.
struct BatchBounds {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;  // a larger file goes alone
  /// What is delivered by then is listed; what is on its way goes on in the next batch.
  std::chrono::milliseconds time{0};
};

inline constexpr std::chrono::milliseconds kLongestRest = std::chrono::hours(1);

/// A file that was not delivered because of what it is.
struct AbnormalSource {
  std::string_view id;
  /// Of the file that was to be delivered. Another one in its place has changed, and is not the
  /// abnormal one. Absent if the registry had none.
  std::optional<FileIdentity> identity;
  std::string_view reason;
};

class Spool;

struct TransferOptions {
  Selection selection;
  LandingPlaces landings;
  /// Null: the destination wants every file, as it is. Else it outlives the run.
  const Routes* routes = nullptr;
  std::int64_t max_attempts = 5;
  /// Without names: leaves what failed alone for this long, twice as long after each further
  /// failure, up to kLongestRest.
  std::chrono::milliseconds rest_after_failure{0};
  std::size_t files_in_flight = 512;  // per connection; fewer if the server has fewer handles
  Retries retries;
  Fsync fsync = Fsync::kWhereOffered;
  Verify verify = Verify::kSize;
  /// For kRemoteCommand: the paths of part files are appended, and it writes a line for each, in
  /// order, that begins with the SHA-256.
  std::vector<std::string> verify_command = {"sha256sum"};
  BatchMode batch = BatchMode::kIndependent;
  BatchBounds bounds;  // not for kAllOrNothing
  /// Told of each abnormal source once its failure is recorded, also of those that merely changed
  /// or vanished. On the thread that called deliver.
  std::function<void(const AbnormalSource&)> on_abnormal;
  /// Told once for each landing area that has files to deliver: why they cannot be had now, which
  /// costs them no attempt, or null. On the thread that called deliver.
  std::function<void(const std::string& landing, const Error* absence)> on_landing =
      [](const std::string&, const Error*) {};
  fs::path control_files;  // where the agent keeps its own copy of each batch's control file
  fs::path journals;       // where it notes which chunks of large files were acknowledged
  fs::path servers;        // where it remembers what destinations' servers can do
  fs::path spool;          // where transformed files wait to be sent
  std::shared_ptr<Spool> shared_spool;      // the same, open; null: it is opened if it is needed
  std::uint64_t spool_limit = 10ULL << 30;  // bytes in it
};

struct FileOutcome {
  std::string_view id;
  std::string_view path;
  std::string_view remote_path;
  std::uint64_t bytes = 0;
  std::chrono::milliseconds duration{};
  /// It was not sent: the destination has another file of its name, which stays.
  bool is_skipped = false;
};

/// Is told how a run goes. Called on several threads, one call at a time.
class Observer {
 public:
  virtual ~Observer() = default;
  /// How much there is in all, as far as it is known: it may be called again, with more.
  virtual void on_start(std::uint64_t files, std::uint64_t bytes) = 0;
  virtual void on_bytes(std::uint64_t acknowledged) = 0;
  /// Or skipped.
  virtual void on_delivered(const FileOutcome& file) = 0;
  virtual void on_failed(const FileOutcome& file, const Error& error) = 0;
};

/// A batch that was brought to its end, by us or for an agent that had died.
struct BatchSummary {
  std::string id;
  std::string control_file;  // remote path; empty if none was pushed
  std::uint64_t selected = 0;
  std::uint64_t successful = 0;
  std::uint64_t failed = 0;
  std::uint64_t skipped = 0;  // the destination has other files of their names
  std::uint64_t bytes = 0;    // delivered
  std::chrono::milliseconds duration{};
};

struct TransferSummary {
  std::string destination;
  std::vector<BatchSummary> batches;
  std::uint64_t selected = 0;
  std::uint64_t successful = 0;
  std::uint64_t failed = 0;
  std::uint64_t skipped = 0;
  std::uint64_t bytes = 0;
  /// Delivered, and in no control file yet: the next run sees to that.
  std::uint64_t unlisted = 0;
  std::chrono::milliseconds duration{};
  /// A stop came first: what it left stays pending.
  bool was_stopped = false;
  /// Why the destination could not be reached any more, if files failed because of that.
  std::optional<Error> lost;
  /// Why the journal of a batch cannot be read: what it is of was left as it is.
  std::optional<Error> unreadable;

  void add(const BatchSummary& batch);
};

/// How an agent goes on once all is delivered.
struct Following {
  StopToken& finish;  // nothing more is claimed; what is on its way is completed
  std::function<void(const BatchSummary& batch)> on_batch;
  std::function<void()> on_idle;  // nothing is left to do for now
};

/// The spool for agents that run side by side, in TransferOptions::spool; null if no route
/// transforms.
Result<std::shared_ptr<Spool>> open_spool(const TransferOptions& options);

/// What deliver would take now, oldest first.
Outcome<std::vector<metastore::FileRecord>> select(metastore::Metastore& metastore,
                                                   std::string_view destination,
                                                   const TransferOptions& options);

/// One run: until nothing is left to deliver, or STOP is requested. An error means that it ended
/// early, with its claims released; what was delivered by then is recorded, or is by the next run.
/// Files that failed are in the summary, with the others delivered. Errors: those of sftp::connect,
/// kDenied if DESTINATION's directory cannot be made, the metastore's, kInvalid if a name of the
/// selection matches no file. What an agent notes beside the tables counts as the metastore.
Outcome<TransferSummary> deliver(metastore::Metastore& metastore, const Destination& destination,
                                 const TransferOptions& options, Observer& observer,
                                 StopToken& stop);

/// The same again and again, as files are registered, until FOLLOWING.finish or STOP.
Outcome<void> deliver_on(metastore::Metastore& metastore, const Destination& destination,
                         const TransferOptions& options, Observer& observer,
                         const Following& following, StopToken& stop);

}  // namespace ferry::transfer
