#include "app/commands/import_rows.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ferry/base/input.h"
#include "ferry/base/text.h"
#include "ferry/landing/area_facts.h"

namespace ferry::app {
namespace {

constexpr std::size_t kLongestLine = 1 << 20;  // as in the tables
constexpr std::size_t kMostProblems = 100;
constexpr std::size_t kBlockBytes = 256 * 1024;

/// What a landing area puts into quarantine, an import does not bring past it.
Result<metastore::FileRecord> check_name(metastore::FileRecord row) {
  if (row.state == metastore::FileState::kQuarantined) return row;
  const std::string shown = escape_controls(row.path);
  if (shown != row.path) {
    return make_error(ErrorKind::kInvalid, "the row has a path '{}' that has control characters",
                      shown);
  }
  if (landing::is_never_registered(row.path)) {
    return make_error(ErrorKind::kInvalid,
                      "the row has a path '{}' that no landing area registers (dot files, *.tmp, "
                      "*.part, *.filepart)",
                      row.path);
  }
  return row;
}

}  // namespace

bool RowParser::take(std::string_view text) {
  while (!text.empty() && !is_hopeless_) {
    const std::size_t end = text.find('\n');
    begun_ += text.substr(0, end);
    if (begun_.size() > kLongestLine) {
      ++line_;
      complain("the line is longer than 1 MiB");
      is_hopeless_ = true;
    } else if (end == text.npos) {
      return true;
    } else {
      take_line(begun_);
      begun_.clear();
      text.remove_prefix(end + 1);
    }
  }
  return !is_hopeless_;
}

void RowParser::take_line(std::string_view line) {
  ++line_;
  if (line.find_first_not_of(" \t\r") == line.npos) return;
  auto row = metastore::parse_file_record(line);
  if (row) row = check_name(std::move(*row));
  if (!row) return complain(row.error().message);
  if (problem_count_ == 0) rows_.push_back(std::move(*row));
}

void RowParser::complain(std::string_view why) {
  problems_ += fmt::format("{}:{}: {}\n", source_, line_, why);
  is_hopeless_ = ++problem_count_ >= kMostProblems;
}

Result<std::vector<metastore::FileRecord>> RowParser::finish() {
  if (!is_hopeless_ && !begun_.empty()) take_line(begun_);
  if (problem_count_ == 0) return std::move(rows_);
  return Error{ErrorKind::kInvalid, problems_ + "nothing was imported", 0};
}

Result<std::vector<metastore::FileRecord>> read_rows(const std::string& name,
                                                     const StopToken& stop) {
  UniqueFd opened;
  int fd = STDIN_FILENO;
  if (name != "-") {
    auto file = open_input(name, stop);
    if (!file) return file.error();
    opened = std::move(*file);
    fd = opened.get();
  }
  RowParser parser(name);
  std::string block(kBlockBytes, '\0');
  for (bool goes_on = true; goes_on;) {
    if (auto waited = wait_until_readable(fd, stop); !waited) return waited.error();
    const ssize_t count = ::read(fd, block.data(), block.size());
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      return errno_error(errno, "read " + (fd == STDIN_FILENO ? "standard input" : name));
    }
    if (count >= 0) {
      goes_on = count > 0 &&
                parser.take(std::string_view(block).substr(0, static_cast<std::size_t>(count)));
    }
  }
  return parser.finish();
}

}  // namespace ferry::app
