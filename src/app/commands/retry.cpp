#include <set>
#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "app/report/standings.h"

namespace ferry::app {
namespace {

using metastore::Standing;

struct Named {
  std::string path;
  Standing standing = Standing::kPending;
};

/// What the words of a command line mean, file by file.
class Choice {
 public:
  Choice(const std::vector<std::string>& names, bool all_failed)
      : names_(names.begin(), names.end()), unmatched_(names_), all_failed_(all_failed) {}

  void see(const StandingRow& row) {
    const bool is_named = names_.contains(row.file.id) || names_.contains(row.file.path);
    unmatched_.erase(row.file.id);
    unmatched_.erase(row.file.path);
    if (row.standing == Standing::kFailed && (is_named || all_failed_)) {
      if (ids_.empty() || ids_.back() != row.file.id) ids_.push_back(row.file.id);
      paths_.emplace(row.file.id, row.file.path);
    } else if (is_named) {
      others_.push_back({row.file.path, row.standing});
    }
  }

  Result<void> check() const {
    if (unmatched_.empty()) return {};
    return make_error(ErrorKind::kInvalid,
                      "{}: no registered file has this path or id ('ferry list' shows them)",
                      *unmatched_.begin());
  }

  std::vector<std::string> names() const { return {names_.begin(), names_.end()}; }
  const std::vector<std::string>& ids() const { return ids_; }
  const std::string& path(const std::string& id) const { return paths_.at(id); }
  const std::vector<Named>& others() const { return others_; }

 private:
  std::set<std::string, std::less<>> names_;
  std::set<std::string, std::less<>> unmatched_;
  bool all_failed_;
  std::vector<std::string> ids_;
  std::map<std::string, std::string> paths_;
  std::vector<Named> others_;  // named, and not failed
};

void print_result(const Choice& choice, const std::vector<metastore::Release>& released,
                  bool as_json) {
  if (as_json) {
    Json files = Json::array();
    for (const metastore::Release& one : released) {
      files.push_back(
          {{"id", one.id}, {"path", choice.path(one.id)}, {"destination", one.destination}});
    }
    return print_json({{"released", released.size()}, {"files", std::move(files)}});
  }
  for (const Named& other : choice.others()) {
    if (other.standing == Standing::kSuperseded) continue;  // an older version of the path
    print(fmt::format("{} is {}, not failed\n", escape_controls(other.path),
                      to_string(other.standing)));
  }
  for (const metastore::Release& one : released) {
    print(fmt::format("released {} for {}\n", escape_controls(choice.path(one.id)),
                      escape_controls(one.destination)));
  }
  if (released.empty()) print("nothing to release\n");
}

/// A failure is one whoever wants the file by now.
Result<void> look_at_failed(metastore::Metastore& store, const std::string& destination,
                            Choice& choice) {
  metastore::TransferQuery failed;
  failed.destination = destination;
  failed.statuses = {metastore::TransferStatus::kFailed};
  return store.visit_transfers(failed, [&](const metastore::FileRecord& file,
                                           const metastore::Delivery& delivery) {
    choice.see({file, delivery.destination, &delivery, metastore::standing_of(file, &delivery)});
  });
}

Result<void> look_at_named(metastore::Metastore& store, const std::string& destination,
                           Choice& choice) {
  StandingQuery query;
  if (!destination.empty()) query.destinations.push_back(destination);
  query.files.names = choice.names();
  return visit_standings(store, query, [&](const StandingRow& row) { choice.see(row); });
}

Outcome<ExitStatus> run_retry(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const bool all_failed = arguments.has("failed");
  if (all_failed == !arguments.positional.empty()) {
    return fail(make_error(ErrorKind::kInvalid, "give either --failed, or paths and ids"));
  }
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  auto store = open_store(*settings, Access::kWrite);
  if (!store) return std::unexpected(store.error());

  const auto only = arguments.last("destination");
  if (const auto known = check_destination(**store, *settings, only); !known) {
    return fail(known.error());
  }
  const std::string destination = only.value_or("");
  Choice choice(arguments.positional, all_failed);
  const auto looked = all_failed ? look_at_failed(**store, destination, choice)
                                 : look_at_named(**store, destination, choice);
  if (!looked) return fail(looked.error(), Origin::kMetastore);
  if (auto known = choice.check(); !known) return fail(known.error());
  const auto released = (*store)->release(choice.ids(), destination);
  if (!released) return fail(released.error(), Origin::kMetastore);
  print_result(choice, *released, arguments.has("json"));
  return ExitStatus::kDone;
}

}  // namespace

Command retry_command() {
  return {.name = "retry",
          .bit = kRetryBit,
          .summary = "release failed files, so that the next run takes them",
          .positional = "--failed | PATH|ID...",
          .max_positional = static_cast<std::size_t>(-1),
          .description =
              "Gives files that failed all their attempts back, also those that were left alone\n"
              "after max_attempts: they are pending again, for the next 'ferry transfer'.",
          .flags = {{"failed", "", "all files that failed"},
                    {"destination", "NAME", "only if they failed for this destination"},
                    {"json", "", "print what was released as JSON"}},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage},
                    {ExitStatus::kMetastore}},
          .run = &run_retry};
}

}  // namespace ferry::app
