#include "metastore/jsonl/tables/format.h"

#include <array>

#include "ferry/base/json.h"
#include "ferry/base/state_directory.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr const char* kVersionKey = "format_version";

Result<Format> check_version(const std::string& file, std::string_view content) {
  const auto json = Json::parse(content, nullptr, false);
  if (!json.is_object() || !json.contains(kVersionKey) || !json[kVersionKey].is_number_unsigned() ||
      json[kVersionKey] == 0) {
    return make_error(ErrorKind::kCorrupt,
                      "{} does not say which format the metastore has; it should read "
                      "{{\"format_version\":{}}}",
                      file, kFormatVersion);
  }
  const auto version = json[kVersionKey].get<std::uint64_t>();
  if (version > kFormatVersion) {
    return make_error(ErrorKind::kCorrupt,
                      "{}: the metastore has format {}, and this program understands up to {}; use "
                      "a newer one",
                      file, version, kFormatVersion);
  }
  return Format::kOurs;
}

Result<bool> is_file(const Directory& directory, const std::string& name) {
  const auto there = directory.look(name);
  if (!there) return there.error();
  return *there && S_ISREG((*there)->st_mode);
}

/// Of what we made, or others on file systems.
bool may_be_left_over(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames = {kLockFile, kAgents,        kDamaged,
                                                      kArchive,  kPendingMarker, kIndexFile,
                                                      kIndexLog, kIndexMemory,   "lost+found"};
  return name.starts_with('.') || StateDirectory::has(name) ||
         std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace

Result<Format> read_format(const Directory& directory) {
  const auto content = directory.read(kFormatFile);
  if (content) return check_version(directory.shown(kFormatFile), *content);
  if (content.error().kind != ErrorKind::kNotFound) return content.error();

  for (const std::string_view table : {kRegistryTable, kTransferTable}) {
    const auto has_table = is_file(directory, table_file(table));
    if (!has_table) return has_table.error();
    if (*has_table) return Format::kBare;
  }
  const auto names = directory.list("");
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (may_be_left_over(name)) continue;
    return make_error(ErrorKind::kCorrupt,
                      "{} is not a metastore: it has {} and neither metastore.json nor "
                      "file_registry.jsonl; choose an empty directory",
                      directory.path().string(), name);
  }
  return Format::kEmpty;
}

Result<void> write_format(const Directory& directory) {
  return directory.replace(kFormatFile, fmt::format("{{\"format_version\":{}}}\n", kFormatVersion));
}

}  // namespace ferry::metastore
