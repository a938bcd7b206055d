#include <fmt/ranges.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include "ferry/base/json.h"

#include "app/commands/command.h"
#include "app/commands/import_rows.h"
#include "app/commands/store_copy.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "app/report/reading_progress.h"

namespace ferry::app {
namespace {

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

/// A directory, or a URL as it is.
std::string location_of(const std::string& word) {
  return word.find("://") == word.npos ? fs::absolute(word).string() : word;
}

Outcome<ExitStatus> import_store(const Invocation& invocation, const Settings& settings) {
  const std::string from = location_of(*invocation.arguments.last("from"));
  if (const auto fit = metastore::check_location(from); !fit) return fail(fit.error());
  auto source = metastore::open_metastore_for_reading(
      from, {.lock_timeout = settings.general.lock_timeout, .on_reading = show_reading()});
  if (!source) {
    const bool is_mistake =
        source.error().kind == ErrorKind::kNotFound || source.error().kind == ErrorKind::kInvalid;
    return fail(source.error(), is_mistake ? Origin::kLocal : Origin::kMetastore);
  }
  auto store = open_store(settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  const auto damaged = (*source)->upkeep().damaged_rows();
  if (!damaged) return fail(damaged.error(), Origin::kMetastore);
  const auto copy = copy_store(**source, **store);
  if (!copy) return fail(copy.error(), Origin::kMetastore);
  if (invocation.arguments.has("json")) {
    print_json({{"files", copy->files},
                {"transfers", copy->transfers},
                {"copied", copy->copied},
                {"damaged", *damaged},
                {"digest", copy->digest}});
    return ExitStatus::kDone;
  }
  print(
      fmt::format("{} rows copied; both have {} rows of file_registry and {} of transfer_logs, "
                  "with the same digest {}\n",
                  copy->copied, copy->files, copy->transfers, copy->digest));
  if (*damaged > 0) print(fmt::format("{} rows cannot be read, and were left out\n", *damaged));
  return ExitStatus::kDone;
}

Outcome<ExitStatus> run_import(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  const bool is_store = invocation.arguments.has("from");
  if (is_store != invocation.arguments.positional.empty()) {
    return fail(make_error(ErrorKind::kInvalid, "import: give FILE, or --from METASTORE"));
  }
  if (is_store) return import_store(invocation, *settings);
  auto rows = read_rows(invocation.arguments.positional.front(), invocation.stop);
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
  return {
      .name = "import",
      .bit = kImportBit,
      .summary = "register files from a list made elsewhere, or carry over a metastore",
      .positional = "[FILE]",
      .max_positional = 1,
      .description =
          "Enters rows of file_registry, one JSON object a line; '-' reads standard input.\n"
          "Required: id, path, updated_date, checksum. Rows whose id is known are left out.\n"
          "One bad line refuses the whole file.\n"
          "With --from: copies all rows of another metastore, archived ones too, into one that\n"
          "is new, and compares both afterwards. Stop what works with either first. A run that\n"
          "was cut short is gone on with by the next.",
      .flags = {{"from", "METASTORE", "the metastore to copy: a directory or postgresql://..."},
                {"json", "", "print the summary as JSON"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_import};
}

}  // namespace ferry::app
