// Whether everything that a control file lists is there, and right: at B in a directory, or from A
// at a destination.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/transfer/agent.h"
#include "ferry/transfer/control_file.h"

namespace ferry::transfer {

enum class Verdict : std::uint8_t {
  kMissing,
  kShort,       // fewer bytes than listed
  kChanged,     // other bytes, or more
  kExtra,       // there, and not listed
  kUnreadable,  // nobody can tell
};
std::string_view to_string(Verdict verdict);  // "missing", …

struct Finding {
  std::string path;  // relative to the directory
  Verdict verdict = Verdict::kMissing;
  std::string message;  // what was found
};

struct Verification {
  std::uint64_t right = 0;        // files that are as listed
  std::uint64_t bytes = 0;        // read to compare checksums
  std::vector<Finding> findings;  // in the control file's order, extra files last, by path
};

struct VerifyOptions {
  bool strict = false;           // extra files are findings too
  Verify depth = Verify::kSize;  // at a destination; a directory is always read
};

/// Reads every listed file below DIRECTORY. Symbolic links are not followed. Extra files are
/// regular files without a dot in front of any part of their path, control files left out. Errors
/// are those of DIRECTORY itself, and kCancelled.
Result<Verification> verify_directory(const ReceivedControlFile& control, const fs::path& directory,
                                      const VerifyOptions& options, StopToken& stop);

/// Asks the server. Changes nothing there. Errors: those of sftp::connect, kNotFound if the
/// destination's directory is not there, kConnectionLost, kCancelled.
Result<Verification> verify_destination(const ReceivedControlFile& control,
                                        const Destination& destination,
                                        const VerifyOptions& options, StopToken& stop);

/// Fetches a control file, by its name or its batch's id, from the destination's control directory.
/// kNotFound if there is none; what is wrong with it is kInvalid.
Result<ReceivedControlFile> fetch_control_file(const Destination& destination,
                                               std::string_view name, StopToken& stop);

}  // namespace ferry::transfer
