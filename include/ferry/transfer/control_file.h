// The control file: a batch's list of files, pushed last. B takes its arrival as the proof that
// all of them are there. docs/control-file.md is the normative description.
//
//   {"version": 1, "batch_id": "…", "created": "…", "agent": "…", "destination": "…",
//    "count": 2, "total_bytes": 123, "files": [
//   {"id":"…","path":"in/a.csv","size":100,"checksum":"sha256:…"},
//   …
//   ]}
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/hash.h"
#include "ferry/base/kept_batches.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::transfer {

inline constexpr int kControlFileVersion = 1;

/// A file that was delivered.
struct ControlEntry {
  std::string_view id;
  std::string_view path;  // relative to the destination's directory
  std::uint64_t size = 0;
  const Checksum* checksum = nullptr;         // of the bytes that were sent; never null
  const Checksum* source_checksum = nullptr;  // if a transform changed them
};

struct ControlHeader {
  std::string batch_id;
  Timestamp created;
  std::string agent;
  std::string destination;
  std::uint64_t count = 0;        // of files
  std::uint64_t total_bytes = 0;  // of their sizes
};

/// In which form B gets it.
enum class ControlFormat : std::uint8_t {
  kJson,        // as above
  kSha256Sums,  // as `sha256sum -c` reads it, in the destination's directory
  kNone,        // not at all: only the agent's own copy is made
};

/// What is pushed beside each delivered file, once it has its name.
enum class Sidecar : std::uint8_t {
  kNone,
  kSha256,  // NAME.sha256, as `sha256sum -c` reads it, in the file's directory
  kDone,    // NAME.done, which is empty
};

/// What they are called, in their order.
inline constexpr std::array<std::string_view, 3> kControlFormatNames{"json", "sha256sums", "none"};
inline constexpr std::array<std::string_view, 3> kSidecarNames{"none", "sha256", "done"};

inline constexpr std::string_view kSumsSuffix = ".SHA256SUMS";
inline constexpr std::string_view kSignatureSuffix = ".sig";

/// "<batch_id>.control.json", or with ".SHA256SUMS".
std::string control_file_name(std::string_view batch_id,
                              ControlFormat format = ControlFormat::kJson);

/// ".sha256", ".done", or nothing.
std::string_view suffix_of(Sidecar sidecar);

/// A line of sha256sum(1), which escapes a name with a backslash, a newline or a carriage return in
/// it.
std::string sum_line(const Checksum& checksum, std::string_view name);

/// Writes a control file piece by piece: one JSON object, one file a line. HEADER's sums have to be
/// right for what is added. All members return the first error of WRITE.
class ControlFileWriter {
 public:
  using Write = std::function<Result<void>(std::string_view text)>;

  ControlFileWriter(const ControlHeader& header, Write write);
  Result<void> add(const ControlEntry& entry);
  Result<void> finish();

 private:
  const Write write_;
  std::string text_;
  bool has_files_ = false;
};

/// One file as a control file lists it.
struct ListedFile {
  std::string id;
  std::string path;  // below the directory, without "." and ".." and empty parts
  std::uint64_t size = 0;
  Checksum checksum;
};

/// A control file as somebody received it.
struct ReceivedControlFile {
  std::string batch_id;
  Timestamp created;
  std::string agent;
  std::string destination;
  std::vector<ListedFile> files;  // no path twice
};

/// More is not taken for a control file, wherever it comes from.
inline constexpr std::size_t kLongestControlFile = 256 << 20;

/// Reads what write_json writes, from a stranger: an error (kInvalid) says what is wrong, and with
/// which file, if TEXT is not a control file, contradicts itself, lists a path twice or one that
/// leads out of the directory, or has a version that we do not know. Members in any order; unknown
/// ones are skipped. Needs memory for the files that are listed, not for the text.
Result<ReceivedControlFile> read_control_file(std::istream& text);

}  // namespace ferry::transfer
