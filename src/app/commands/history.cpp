#include <algorithm>
#include <set>
#include <utility>

#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "app/report/changes.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

using metastore::FileRecord;
using metastore::History;
using metastore::TransferRecord;

Json rows_to_json(const auto& rows) {
  Json json = Json::array();
  for (const auto& row : rows) json.push_back(Json::parse(to_line(row), nullptr, false));
  return json;
}

std::string to_text(const FileRecord& row) {
  std::string line = fmt::format("  {}  {:<11}  {}", format_timestamp(row.updated_date),
                                 to_string(row.state), row.checksum.to_string());
  if (row.identity) {
    line += fmt::format(", {}", human_size(static_cast<double>(row.identity->size)));
  }
  if (!row.landing.empty()) line += fmt::format(", in {}", row.landing);
  line += fmt::format(", by {}", to_string(row.source));
  if (!row.reason.empty()) line += fmt::format(" ({})", row.reason);
  return escape_controls(line) + "\n";
}

std::string to_text(const TransferRecord& row) {
  std::string line = fmt::format("  {}  {:<11}  to {}, attempt {}", format_timestamp(row.date),
                                 to_string(row.status), row.destination, row.attempt);
  if (!row.batch_id.empty()) line += fmt::format(", batch {}", row.batch_id);
  if (row.status == metastore::TransferStatus::kSuccessful && !row.remote_path.empty()) {
    line += fmt::format(", as {}", row.remote_path);
  }
  if (row.error) line += fmt::format(" ({}: {})", row.error->kind, row.error->message);
  return escape_controls(line) + "\n";
}

/// The tables have them in the order in which they were written down, each agent its own.
void sort_by_date(History& history) {
  std::ranges::stable_sort(history.file, {}, &FileRecord::updated_date);
  std::ranges::stable_sort(history.transfers, {}, &TransferRecord::date);
}

Json to_json(const History& history) {
  const FileRecord& file = history.file.back();
  return {{"id", file.id},
          {"path", file.path},
          {"file", rows_to_json(history.file)},
          {"transfers", rows_to_json(history.transfers)}};
}

std::vector<std::string> lines_of(const History& history) {
  std::vector<std::pair<Timestamp, std::string>> lines;
  for (const FileRecord& row : history.file) lines.emplace_back(row.updated_date, to_text(row));
  for (const TransferRecord& row : history.transfers) lines.emplace_back(row.date, to_text(row));
  std::ranges::stable_sort(lines, {}, &std::pair<Timestamp, std::string>::first);
  std::vector<std::string> texts;
  for (auto& [date, line] : lines) texts.push_back(std::move(line));
  return texts;
}

/// Prints what it has not printed yet.
class Printer {
 public:
  explicit Printer(bool as_json) : as_json_(as_json) {}

  void show(const History& history) {
    const FileRecord file = history.file.back();
    const std::string title = fmt::format("{}  {}\n", escape_controls(file.path), file.id);
    if (as_json_) {
      const std::string line = ferry::to_text(to_json(history)) + "\n";
      if (shown_.insert(line).second) print(line);
      return;
    }
    bool is_titled = false;
    for (const std::string& line : lines_of(history)) {
      if (!shown_.insert(file.id + line).second) continue;
      if (!std::exchange(is_titled, true) && last_ != file.id) print(title);
      last_ = file.id;
      print(line);
    }
  }

 private:
  const bool as_json_;
  std::set<std::string> shown_;
  std::string last_;  // the version that the last line is of
};

Outcome<ExitStatus> run_history(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());

  const std::string& name = arguments.positional.front();
  const bool goes_on = arguments.has("follow");
  Printer printer(arguments.has("json"));
  bool is_known = false;
  const auto show = [&]() -> Result<void> {
    auto versions = (*store)->history(name);
    if (!versions) return versions.error();
    is_known = !versions->empty();
    for (History& history : *versions) {
      sort_by_date(history);
      printer.show(history);
    }
    return {};
  };
  const auto shown = goes_on ? show_changes(**store, invocation.stop, show) : show();
  if (!shown) return fail(shown.error(), Origin::kMetastore);
  if (is_known || goes_on) return ExitStatus::kDone;
  return fail(make_error(ErrorKind::kNotFound,
                         "the registry has no file '{}' ('ferry list' shows all)", name));
}

}  // namespace

Command history_command() {
  return {.name = "history",
          .bit = kHistoryBit,
          .summary = "show all that is recorded about a file",
          .positional = "ID|PATH",
          .min_positional = 1,
          .max_positional = 1,
          .description =
              "Prints all rows of both tables for one file, oldest first. A path may have several\n"
              "versions, each with an id of its own.",
          .flags = {{"follow", "", "show what is recorded from now on, too, until it is stopped"},
                    {"json", "", "print one JSON object a line, one for each version"}},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_history};
}

}  // namespace ferry::app
