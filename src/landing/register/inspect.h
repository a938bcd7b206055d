// Looks at one path: is it a settled regular file that the registry does not know, what is its
// checksum, and does its area's policy take it?
//
// Size, name and first bytes are judged before the whole of it is read. A large file is hashed
// piece by piece, with other files in between.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/acceptance.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/stop.h"
#include "landing/quarantine/release_mark.h"
#include "landing/watch/pulse.h"
#include "landing/watch/root.h"
#include "landing/watch/settle.h"

namespace ferry::landing {

struct Inspection {
  enum class Outcome : std::uint8_t {
    kHashed,      // settled and accepted; identity and checksum are set; `reason`: it was released
    kRefused,     // the same, but the policy refuses it: `reason` says why
    kUnread,      // the policy refuses it, and it is too large to be read for that: `reason`
    kLarge,       // goes on: there are more pieces to hash
    kKnown,       // the registry has it
    kUnsettled,   // look again: after `wait`, or after a back-off; `reason`: the policy wants it so
    kGone,        // no such name any more
    kAbnormal,    // no regular file, or no name for the registry: `reason`; identity is set
    kEscapes,     // below a symbolic link, or outside of the area: `reason`
    kUnreadable,  // or cannot be judged: `reason` says why
    kUnanswered,  // the metastore does not say what it knows of it
    kRootLost,    // the landing area itself is not there
    kCancelled,
  };
  Outcome outcome = Outcome::kCancelled;
  FileIdentity identity{};
  Checksum checksum{};
  std::optional<Duration> wait{};
  std::string reason{};
};

struct HashedContent {
  Checksum checksum;
  std::uint64_t size = 0;
};

/// How far a large file has been hashed.
struct HashProgress {
  FileIdentity identity;
  Hasher hasher{HashAlgorithm::kSha256};
  std::uint64_t offset = 0;
};

/// Reads all of FD; PATH is for messages. kCancelled if CANCELLED comes first.
Result<HashedContent> hash_content(int fd, const std::string& path, std::span<std::byte> buffer,
                                   const StopToken& cancelled);

/// The identity that the registry has for what is at a path: with that one it need not be read.
using Known = Result<std::optional<FileIdentity>>;

/// How one area's files are looked at.
struct InspectionRules {
  std::string landing;  // the area's name
  Duration settle{};    // the quiet period if the kernel cannot tell whether there is a writer
  AcceptancePolicy acceptance{};
  /// True if the latest version of PATH is ready and has these bytes: whoever let them in, they
  /// need not be judged again.
  std::function<Result<bool>(const std::string& path, const Checksum& checksum)> is_accepted;
  /// The mark of a file that a person let go and that is not registered yet.
  std::function<Result<std::optional<ReleaseMark>>(int root_fd, const FileIdentity& identity)>
      released = [](int, const FileIdentity&) { return std::optional<ReleaseMark>(); };
};

/// Owns a read buffer; one per thread.
class Inspector {
 public:
  /// A file of more bytes is large, and hashed in pieces of this size.
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{64} << 20;

  /// PULSE: the thread's.
  Inspector(const StopToken& cancelled, Pulse& pulse);

  /// With the outcome kLarge PROGRESS is set, and the same call is to be made again. KNOWN was
  /// asked before: what has changed since is noticed, and looked at again.
  Inspection inspect(const OpenRoot& root, const DuePath& candidate, const Known& known,
                     const InspectionRules& rules, std::unique_ptr<HashProgress>& progress);

 private:
  struct File;
  static Result<std::optional<ReleaseMark>> mark_of(const File& file, const InspectionRules& rules);
  Inspection read(const File& file, const Root& root, const DuePath& candidate,
                  const InspectionRules& rules, std::unique_ptr<HashProgress>& progress);
  Inspection hash(const File& file, std::unique_ptr<HashProgress>& progress);
  Result<bool> hash_piece(const File& file, HashProgress& progress);
  Inspection judge_hashed(const File& file, Inspection hashed, const InspectionRules& rules,
                          const std::optional<ReleaseMark>& released) const;

  const StopToken& cancelled_;
  Pulse& pulse_;
  std::vector<std::byte> buffer_;
};

}  // namespace ferry::landing
