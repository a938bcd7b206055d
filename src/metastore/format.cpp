#include "metastore/format.h"

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <optional>
#include "ferry/base/json.h"

namespace ferry::metastore {
namespace {

constexpr const char* kVersionKey = "format_version";

Result<Format> check_version(const fs::path& file, std::string_view content) {
  const auto json = Json::parse(content, nullptr, false);
  if (!json.is_object() || !json.contains(kVersionKey) || !json[kVersionKey].is_number_unsigned() ||
      json[kVersionKey] == 0) {
    return make_error(ErrorKind::kCorrupt,
                      "{} does not say which format the metastore has; it should read "
                      "{{\"format_version\":{}}}",
                      file.string(), kFormatVersion);
  }
  const auto version = json[kVersionKey].get<std::uint64_t>();
  if (version > kFormatVersion) {
    return make_error(ErrorKind::kCorrupt,
                      "{}: the metastore has format {}, and this program understands up to {}; use "
                      "a newer one",
                      file.string(), version, kFormatVersion);
  }
  return Format::kOurs;
}

bool is_file(const fs::path& path) {
  boost::system::error_code code;
  return fs::is_regular_file(path, code);
}

bool may_be_left_over(const Layout& layout, const fs::path& path) {
  return path == layout.lock() || path == layout.agents() || path == layout.batches() ||
         path == layout.damaged() || path == layout.archive() || path == layout.pending_marker() ||
         path.filename().string().starts_with('.') || path.filename() == "lost+found";
}

}  // namespace

Result<Format> read_format(const Layout& layout) {
  const auto content = read_file(layout.format());
  if (content) return check_version(layout.format(), *content);
  if (content.error().kind != ErrorKind::kNotFound) return content.error();

  boost::system::error_code code;
  fs::directory_iterator entry(layout.directory, code);
  if (code) {
    return errno_error(code.value(), fmt::format("open metastore {}", layout.directory.string()));
  }
  if (is_file(layout.table(kRegistryTable)) || is_file(layout.table(kTransferTable))) {
    return Format::kBare;
  }
  for (const fs::directory_iterator end; entry != end; entry.increment(code)) {
    if (may_be_left_over(layout, entry->path())) continue;
    return make_error(ErrorKind::kCorrupt,
                      "{} is no metastore: it has {} and neither metastore.json nor "
                      "file_registry.jsonl; choose an empty directory",
                      layout.directory.string(), entry->path().filename().string());
  }
  return Format::kEmpty;
}

Result<void> write_format(const Layout& layout) {
  return replace_file(layout.format(), fmt::format("{{\"format_version\":{}}}\n", kFormatVersion));
}

}  // namespace ferry::metastore
