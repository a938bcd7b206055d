#include "app/report/list_view.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "app/config/text.h"
#include "app/config/words.h"
#include "ferry/base/text.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

using metastore::Standing;

constexpr std::array<std::string_view, 11> kColumns{
    "status",      "size",     "date", "age",      "landing", "path",
    "destination", "attempts", "id",   "checksum", "reason"};
constexpr std::array<std::string_view, 5> kSortKeys{"registered", "date", "size", "path", "status"};

std::string_view colour_of(const ListedFile& file) {
  if (file.given_up) return "1;31";
  switch (file.standing) {
    case Standing::kSuccessful:
      return "32";
    case Standing::kFailed:
      return "31";
    case Standing::kQuarantined:
    case Standing::kUnrouted:
      return "33";
    case Standing::kInProgress:
      return "36";
    case Standing::kPending:
      return "";
    default:
      return "2";
  }
}

std::string cell(std::string_view column, const ListedFile& file, Timestamp now) {
  if (column == "status") return fmt::format("{:<11}", to_string(file.standing));
  if (column == "size") {
    return fmt::format("{:>10}", file.size ? human_size(static_cast<double>(*file.size)) : "-");
  }
  if (column == "date") return format_timestamp(file.date);
  if (column == "age") {
    const auto age = std::max(now - file.date, std::chrono::milliseconds(0));
    return fmt::format("{:>7} ago", human_duration(age));
  }
  if (column == "landing") return escape_controls(file.landing.empty() ? "-" : file.landing);
  if (column == "path") return escape_controls(file.path);
  if (column == "destination") {
    return escape_controls(file.destination.empty() ? "-" : "to " + file.destination);
  }
  if (column == "attempts") return fmt::format("{:>3}", file.attempt);
  if (column == "id") return file.id;
  if (column == "checksum") return file.checksum;
  return file.reason.empty() ? "" : fmt::format("({})", escape_controls(file.reason));
}

}  // namespace

std::span<const std::string_view> list_columns() {
  return kColumns;
}
std::span<const std::string_view> sort_keys() {
  return kSortKeys;
}

ListedFile listed(const StandingRow& row) {
  ListedFile file{.id = row.file.id,
                  .path = row.file.path,
                  .landing = row.file.landing,
                  .destination = std::string(row.destination),
                  .checksum = row.file.checksum.to_string(),
                  .reason = reason_of(row),
                  .standing = row.standing,
                  .given_up = row.given_up,
                  .size = std::nullopt,
                  .date = row.file.updated_date,
                  .registered = row.file.updated_date};
  if (row.file.identity) file.size = row.file.identity->size;
  if (row.delivery != nullptr) {
    file.date = row.delivery->date;
    file.attempt = row.delivery->attempt;
  }
  return file;
}

Result<ListView> ListView::make(const Arguments& arguments, bool several_landings,
                                bool several_destinations) {
  ListView view;
  view.has_colours_ = may_use_colours();
  view.columns_ = words_of(arguments, "columns");
  for (const std::string& column : view.columns_) {
    if (std::ranges::find(kColumns, column) != kColumns.end()) continue;
    return make_error(ErrorKind::kInvalid, "--columns: '{}' is not one of {}{}", column,
                      fmt::join(kColumns, ", "), suggestion(column, kColumns));
  }
  if (!view.columns_.empty()) return view;
  view.columns_ = {"status", "size", ::isatty(STDOUT_FILENO) != 0 ? "age" : "date"};
  if (several_landings) view.columns_.emplace_back("landing");
  view.columns_.emplace_back("path");
  if (several_destinations) view.columns_.emplace_back("destination");
  view.columns_.emplace_back("reason");
  return view;
}

std::string ListView::line(const ListedFile& file, Timestamp now) const {
  std::string line;
  for (const std::string& column : columns_) {
    std::string text = cell(column, file, now);
    const std::string_view colour = colour_of(file);
    if (column == "status" && has_colours_ && !colour.empty()) {
      text = fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
    }
    line += line.empty() ? text : "  " + text;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

void sort_files(std::vector<ListedFile>& files, std::string_view key) {
  if (key == "date") std::ranges::stable_sort(files, {}, &ListedFile::date);
  if (key == "size") std::ranges::stable_sort(files, std::greater(), &ListedFile::size);
  if (key == "path") std::ranges::stable_sort(files, {}, &ListedFile::path);
  if (key == "status") std::ranges::stable_sort(files, {}, &ListedFile::standing);
}

bool may_use_colours() {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return ::isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0') && !is_dumb;
}

}  // namespace ferry::app
