#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/command.h"
#include "app/output.h"
#include "app/setup.h"
#include "app/standings.h"
#include "app/text.h"
#include "app/units.h"

namespace ferry::app {
namespace {

using metastore::Standing;

const std::vector<std::string_view>& standing_names() {
  using enum Standing;
  static const std::vector<std::string_view> names = {
      to_string(kPending), to_string(kInProgress),  to_string(kSuccessful),
      to_string(kFailed),  to_string(kQuarantined), to_string(kSuperseded),
      to_string(kMissing), to_string(kUnrouted)};
  return names;
}

Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}

Json to_json(const StandingRow& row) {
  const metastore::FileRecord& file = row.file;
  Json json{{"id", file.id},
            {"path", file.path},
            {"status", to_string(row.standing)},
            {"landing", file.landing},
            {"size", nullptr},
            {"checksum", file.checksum.to_string()},
            {"updated_date", format_timestamp(file.updated_date)},
            {"destination", text_or_null(row.destination)},
            {"transfer_date", nullptr},
            {"attempt", 0},
            {"given_up", row.given_up},
            {"error", nullptr}};
  if (file.identity) json["size"] = file.identity->size;
  if (row.delivery != nullptr) {
    json["transfer_date"] = format_timestamp(row.delivery->date);
    json["attempt"] = row.delivery->attempt;
  }
  if (row.standing == Standing::kFailed && row.delivery != nullptr) {
    json["error"] = {{"kind", row.delivery->error_kind}, {"message", row.delivery->error_message}};
  } else if (const auto reason = reason_of(row); !reason.empty()) {
    json["error"] = {{"kind", to_string(row.standing)}, {"message", reason}};
  }
  return json;
}

std::string to_text(const StandingRow& row) {
  const Timestamp date = row.delivery != nullptr ? row.delivery->date : row.file.updated_date;
  const std::string size =
      row.file.identity ? human_size(static_cast<double>(row.file.identity->size)) : "-";
  std::string line = fmt::format("{:<11} {:>10}  {}  {}", to_string(row.standing), size,
                                 format_timestamp(date), escape_controls(row.file.path));
  if (const auto reason = reason_of(row); !reason.empty()) {
    line += fmt::format("  ({})", escape_controls(reason));
  }
  return line + "\n";
}

Result<std::optional<Standing>> wanted_standing(const Arguments& arguments) {
  const auto text = arguments.last("status");
  if (!text) return std::optional<Standing>();
  if (const auto standing = metastore::parse_standing(*text)) return standing;
  const auto& names = standing_names();
  return make_error(ErrorKind::kInvalid, "--status: '{}' is not one of {}{}", *text,
                    fmt::join(names, ", "), suggestion(*text, names));
}

Outcome<ExitStatus> run_list(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  const auto standing = wanted_standing(invocation.arguments);
  if (!standing) return fail(standing.error());
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());

  const bool as_json = invocation.arguments.has("json");
  const auto destination = invocation.arguments.last("destination");
  if (const auto known = check_destination(**store, *settings, destination); !known) {
    return fail(known.error());
  }
  auto query = standing_query(*settings, destination);
  if (*standing) query.files.standings = {**standing};
  const auto visited = visit_standings(**store, query, [&](const StandingRow& row) {
    if (*standing && row.standing != **standing) return;
    if (as_json) {
      print_json(to_json(row));
    } else {
      print(to_text(row));
    }
  });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  return ExitStatus::kDone;
}

}  // namespace

Command list_command() {
  return {.name = "list",
          .bit = kListBit,
          .summary = "list files with their status, and why",
          .positional = "",
          .description =
              "Lists every file, oldest first: status, size, date of the status, path, reason.",
          .flags = {{"status", "STATUS",
                     "only pending, in_progress, successful, failed, quarantined, superseded, "
                     "missing or unrouted",
                     standing_names()},
                    {"destination", "NAME", "only how files stand with this destination"},
                    {"json", "", "print one JSON object a line"}},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_list};
}

}  // namespace ferry::app
