#include "metastore/jsonl/tables/archive.h"

#include <algorithm>
#include <set>

#include "ferry/base/uuid.h"
#include "metastore/jsonl/tables/layout.h"
#include "metastore/jsonl/tables/table.h"

namespace ferry::metastore {
namespace {

bool may_mention(std::string_view line, std::span<const std::string> needles) {
  if (line.find('\\') != std::string_view::npos) return true;
  return std::ranges::any_of(needles, [&](const std::string& needle) {
    return line.find(needle) != std::string_view::npos;
  });
}

}  // namespace

std::uint32_t month_of(Timestamp time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  return static_cast<std::uint32_t>(static_cast<int>(day.year()) * 12) +
         static_cast<unsigned>(day.month()) - 1;
}

std::string new_archive_part(std::string_view table, std::uint32_t month) {
  return fmt::format("{}/{:04}-{:02}/{}.{}.jsonl", kArchive, month / 12, month % 12 + 1, table,
                     uuid_v7());
}

Result<void> search_archive(const Directory& directory, std::string_view table,
                            std::span<const std::string> needles,
                            const std::function<void(std::string_view line)>& visitor) {
  std::set<std::string> parts;  // sorted: by month, then by time
  const auto months = directory.list(kArchive);
  if (!months) return months.error();
  for (const std::string& month : *months) {
    if (month.starts_with('.')) continue;
    const std::string folder = fmt::format("{}/{}", kArchive, month);
    const auto names = directory.list(folder);
    if (!names && names.error().os_code == ENOTDIR) continue;
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (name.starts_with(fmt::format("{}.", table)) && name.ends_with(".jsonl")) {
        parts.insert(fmt::format("{}/{}", folder, name));
      }
    }
  }
  for (const std::string& name : parts) {
    Table part(directory, table, name);
    auto read = part.read_all([&](const Table::Line& line) {
      if (may_mention(line.text, needles)) visitor(line.text);
    });
    if (!read) return read;
  }
  return {};
}

}  // namespace ferry::metastore
