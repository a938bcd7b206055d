#include <algorithm>

#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/command.h"
#include "app/output.h"
#include "app/setup.h"
#include "app/units.h"

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

std::string to_text(const FileRecord& file, const History& history) {
  std::vector<std::pair<Timestamp, std::string>> lines;
  for (const FileRecord& row : history.file) lines.emplace_back(row.updated_date, to_text(row));
  for (const TransferRecord& row : history.transfers) lines.emplace_back(row.date, to_text(row));
  std::ranges::stable_sort(lines, {}, &std::pair<Timestamp, std::string>::first);
  std::string text = fmt::format("{}  {}\n", escape_controls(file.path), file.id);
  for (const auto& [date, line] : lines) text += line;
  return text;
}

Outcome<ExitStatus> run_history(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());

  const std::string& name = invocation.arguments.positional.front();
  auto versions = (*store)->history(name);
  if (!versions) return fail(versions.error(), Origin::kMetastore);
  if (versions->empty()) {
    return fail(make_error(ErrorKind::kNotFound,
                           "the registry has no file '{}' ('ferry list' shows all)", name));
  }
  for (History& history : *versions) {
    const FileRecord file = history.file.back();
    sort_by_date(history);
    if (invocation.arguments.has("json")) {
      print_json({{"id", file.id},
                  {"path", file.path},
                  {"file", rows_to_json(history.file)},
                  {"transfers", rows_to_json(history.transfers)}});
    } else {
      print(to_text(file, history));
    }
  }
  return ExitStatus::kDone;
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
          .flags = {{"json", "", "print one JSON object a line, one for each version"}},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_history};
}

}  // namespace ferry::app
