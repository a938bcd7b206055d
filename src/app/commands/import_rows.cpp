#include "app/commands/import_rows.h"

#include <algorithm>

namespace ferry::app {

Result<std::vector<metastore::FileRecord>> parse_rows(std::string_view text,
                                                      std::string_view source) {
  std::vector<metastore::FileRecord> rows;
  std::string problems;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto row = metastore::parse_file_record(line);
    if (row) {
      rows.push_back(std::move(*row));
    } else {
      problems += fmt::format("{}:{}: {}\n", source, number, row.error().message);
    }
  }
  if (problems.empty()) return rows;
  return Error{ErrorKind::kInvalid, problems + "nothing was imported", 0};
}

}  // namespace ferry::app
