// Looks at one path: is it a settled regular file that the registry does not know, and what is its
// checksum?
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "landing/root.h"
#include "landing/settle.h"

namespace ferry::landing {

struct Inspection {
  enum class Outcome : std::uint8_t {
    kHashed,      // settled; identity and checksum are set
    kKnown,       // the registry has it
    kUnsettled,   // look again: after `wait`, or after a back-off
    kGone,        // no such name any more
    kNotRegular,  // for good; `reason` says why
    kUnreadable,  // `reason` says why
    kRootLost,    // the landing area itself is not there
    kCancelled,
  };
  Outcome outcome = Outcome::kCancelled;
  FileIdentity identity{};
  Checksum checksum{};
  std::optional<Duration> wait{};
  std::string reason{};
};

/// Owns a read buffer; one per thread.
class Inspector {
 public:
  using IsRegistered = std::function<bool(const std::string& path, const FileIdentity& identity)>;

  explicit Inspector(const std::atomic<bool>& cancelled);

  /// SETTLE: the quiet period where the kernel cannot tell whether there is a writer.
  Inspection inspect(const Root& root, const DuePath& candidate, Duration settle,
                     const IsRegistered& is_registered);

 private:
  Inspection read(int root_fd, const Root& root, const DuePath& candidate,
                  const FileIdentity& identity, Duration settle);
  Result<std::uint64_t> hash(int fd, const std::string& path);

  const std::atomic<bool>& cancelled_;
  std::vector<std::byte> buffer_;
  Hasher hasher_;
};

}  // namespace ferry::landing
