#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include "ferry/base/json.h"

#include "app/command.h"
#include "app/import.h"
#include "app/output.h"
#include "app/setup.h"

namespace ferry::app {
namespace {

Result<std::string> read_input(const std::string& name) {
  if (name != "-") return read_file(name);
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (std::cin.bad()) return make_error(ErrorKind::kIo, "standard input cannot be read");
  return text;
}

/// Of several landing areas a file is in the one that its row names, and else in none.
Result<void> check_landings_of(const std::vector<metastore::FileRecord>& rows,
                               const Settings& settings) {
  if (settings.landings.size() < 2) return {};
  const auto homeless =
      std::ranges::find_if(rows, &std::string::empty, &metastore::FileRecord::landing);
  if (homeless == rows.end()) return {};
  std::vector<std::string_view> names;
  for (const LandingSettings& landing : settings.landings) names.emplace_back(landing.name);
  return make_error(
      ErrorKind::kInvalid,
      "{}: the row names no landing area: give it 'landing' with one of {}; nothing was "
      "imported",
      homeless->id, fmt::join(names, ", "));
}

Outcome<ExitStatus> run_import(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  const std::string& name = invocation.arguments.positional.front();
  const auto text = read_input(name);
  if (!text) return fail(text.error());
  auto rows = parse_rows(*text, name);
  if (!rows) return fail(rows.error());
  if (const auto checked = check_landings_of(*rows, *settings); !checked) {
    return fail(checked.error());
  }
  auto store = open_store(*settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());

  const std::size_t given = rows->size();
  const auto imported = (*store)->import_files(std::move(*rows));
  if (!imported) return fail(imported.error(), Origin::kMetastore);
  if (invocation.arguments.has("json")) {
    print_json({{"rows", given}, {"imported", *imported}});
  } else {
    print(fmt::format("imported {} of {} rows; {} were known\n", *imported, given,
                      given - *imported));
  }
  return ExitStatus::kDone;
}

}  // namespace

Command import_command() {
  return {.name = "import",
          .bit = kImportBit,
          .summary = "register files from a list made elsewhere",
          .positional = "FILE",
          .min_positional = 1,
          .max_positional = 1,
          .description =
              "Enters rows of file_registry, one JSON object a line; '-' reads standard input.\n"
              "Required: id, path, updated_date, checksum. Rows whose id is known are left out.\n"
              "One bad line refuses the whole file.",
          .flags = {{"json", "", "print the summary as JSON"}},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_import};
}

}  // namespace ferry::app
