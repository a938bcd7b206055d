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

std::string control_file_name(std::string_view batch_id) {
  return fmt::format("{}{}", batch_id, kControlFileSuffix);
}

Result<void> write_json(const ControlFile& control,
                        const std::function<Result<void>(std::string_view)>& write) {
  std::uint64_t total = 0;
  for (const ControlEntry& entry : control.files) total += entry.size;
  // Not one Json value for all: a batch may have very many files.
  std::string text = to_text(Json{{"version", kControlFileVersion},
                                  {"batch_id", control.batch_id},
                                  {"created", format_timestamp(control.created)},
                                  {"agent", control.agent},
                                  {"destination", control.destination},
                                  {"count", control.files.size()},
                                  {"total_bytes", total}});
  text.pop_back();
  text += ",\"files\":[";
  std::string_view separator = "\n";
  for (const ControlEntry& entry : control.files) {
    text.append(separator).append(entry_line(entry));
    separator = ",\n";
    if (text.size() < kPieceBytes) continue;
    if (auto written = write(text); !written) return written;
    text.clear();
  }
  text += "\n]}\n";
  return write(text);
}

}  // namespace ferry::transfer
