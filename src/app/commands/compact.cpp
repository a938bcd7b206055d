#include "ferry/base/json.h"

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

Outcome<ExitStatus> run_compact(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  std::chrono::milliseconds keep = metastore::kKeepSettled;
  if (const auto text = arguments.last("keep")) {
    const auto parsed = parse_duration(*text);
    if (!parsed) return fail(parsed.error().with_context("--keep"));
    keep = *parsed;
  }
  auto store = open_store(*settings, Access::kWrite);
  if (!store) return std::unexpected(store.error());
  const auto done = (*store)->upkeep().compact(now() - keep);
  if (!done) return fail(done.error(), Origin::kMetastore);
  if (arguments.has("json")) {
    print_json({{"rows_before", done->rows_before},
                {"rows_after", done->rows_after},
                {"bytes_before", done->bytes_before},
                {"bytes_after", done->bytes_after}});
  } else {
    print(fmt::format("{} of {} rows moved to the archive; the tables have {}, of {} before\n",
                      done->rows_before - done->rows_after, done->rows_before,
                      human_size(static_cast<double>(done->bytes_after)),
                      human_size(static_cast<double>(done->bytes_before))));
  }
  return ExitStatus::kDone;
}

}  // namespace

Command compact_command() {
  return {
      .name = "compact",
      .bit = kCompactBit,
      .summary = "move what is settled from the tables to the archive",
      .positional = "",
      .description =
          "Moves rows that later ones replaced, and files that are settled, from the two tables\n"
          "to archive/, by month. Settled is a file that has been replaced by a newer version or\n"
          "is gone from its landing area, and that every destination has or nobody will get.\n"
          "'ferry history' finds archived files too. Others may work on the metastore\n"
          "meanwhile; they wait. Happens by itself when most rows of a large metastore are of\n"
          "that kind.",
      .flags = {{"keep", "TIME", "leave what was settled within this time; default 30d"},
                {"json", "", "print what was done as JSON"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_compact};
}

}  // namespace ferry::app
