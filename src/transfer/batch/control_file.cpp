#include "ferry/transfer/control_file.h"

#include <fmt/format.h>

#include "ferry/base/json.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

std::string entry_line(const ControlEntry& entry) {
  Json json{{"id", entry.id},
            {"path", entry.path},
            {"size", entry.size},
            {"checksum", entry.checksum->to_string()}};
  if (entry.source_checksum) json["source_checksum"] = entry.source_checksum->to_string();
  return to_text(json);
}

}  // namespace

std::string control_file_name(std::string_view batch_id, ControlFormat format) {
  const bool is_sums = format == ControlFormat::kSha256Sums;
  return fmt::format("{}{}", batch_id, is_sums ? kSumsSuffix : kControlFileSuffix);
}

std::string_view suffix_of(Sidecar sidecar) {
  switch (sidecar) {
    case Sidecar::kSha256:
      return ".sha256";
    case Sidecar::kDone:
      return ".done";
    default:
      return {};
  }
}

std::string sum_line(const Checksum& checksum, std::string_view name) {
  const std::string digest = checksum.to_hex();
  if (name.find_first_of("\\\n\r") == name.npos) return fmt::format("{}  {}\n", digest, name);
  std::string escaped;
  for (const char letter : name) {
    switch (letter) {
      case '\\':
        escaped += "\\\\";
        break;
      case '\n':
        escaped += "\\n";
        break;
      case '\r':
        escaped += "\\r";
        break;
      default:
        escaped += letter;
    }
  }
  return fmt::format("\\{}  {}\n", digest, escaped);
}

ControlFileWriter::ControlFileWriter(const ControlHeader& header, Write write)
    : write_(std::move(write)) {
  // Not one Json value for all: a batch may have very many files.
  text_ = to_text(Json{{"version", kControlFileVersion},
                       {"batch_id", header.batch_id},
                       {"created", format_timestamp(header.created)},
                       {"agent", header.agent},
                       {"destination", header.destination},
                       {"count", header.count},
                       {"total_bytes", header.total_bytes}});
  text_.pop_back();
  text_ += ",\"files\":[";
}

Result<void> ControlFileWriter::add(const ControlEntry& entry) {
  text_.append(has_files_ ? ",\n" : "\n").append(entry_line(entry));
  has_files_ = true;
  if (text_.size() < kPieceBytes) return {};
  if (auto written = write_(text_); !written) return written;
  text_.clear();
  return {};
}

Result<void> ControlFileWriter::finish() {
  text_ += "\n]}\n";
  return write_(text_);
}

}  // namespace ferry::transfer
