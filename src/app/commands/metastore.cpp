#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"

namespace ferry::app {
namespace {

Outcome<ExitStatus> run_metastore(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const std::string& action = arguments.positional.front();
  if (action != "upgrade") {
    return fail(make_error(ErrorKind::kInvalid,
                           "metastore {}: there is only 'ferry metastore upgrade'", action));
  }
  const auto upgraded = upgrade_store(*settings);
  if (!upgraded) return std::unexpected(upgraded.error());
  if (arguments.has("json")) {
    print_json({{"before", upgraded->before}, {"after", upgraded->after}});
  } else if (upgraded->before == upgraded->after) {
    print(fmt::format("version {} already: nothing to do\n", upgraded->after));
  } else {
    print(fmt::format("version {}, from {}\n", upgraded->after,
                      upgraded->before == 0 ? "none" : std::to_string(upgraded->before)));
  }
  return ExitStatus::kDone;
}

}  // namespace

Command metastore_command() {
  return {
      .name = "metastore",
      .bit = kMetastoreBit,
      .summary = "make the tables of a metastore, or bring them up to date",
      .positional = "upgrade",
      .min_positional = 1,
      .max_positional = 1,
      .description =
          "Brings the tables of a metastore in a database to the version that this ferry works\n"
          "with, and makes them if there are none. Run it as the tables' owner, once all ferries\n"
          "that work with the metastore have been stopped. A newer version is refused.",
      .flags = {{"json", "", "print the versions as JSON"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_metastore};
}

}  // namespace ferry::app
