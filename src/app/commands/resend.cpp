#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/routing.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "app/report/standings.h"
#include "ferry/base/json.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::FileRecord;
using metastore::Standing;

constexpr std::size_t kIdsAtOnce = 200;

/// A version of a file that was asked for, and why it cannot be sent again if it is not.
struct Wanted {
  std::string id;
  std::string path;
  std::string destination;  // empty: to all that had it
  std::string obstacle;
  bool is_unrouted = false;
};

std::string obstacle_of(const FileRecord& file, const Standing standing) {
  if (standing != Standing::kSuccessful) {
    return fmt::format("it is {}, not delivered{}", to_string(standing),
                       standing == Standing::kFailed ? ": see 'ferry retry'" : "");
  }
  if (file.state == metastore::FileState::kMissing) {
    return fmt::format(
        "its source is gone ({}): put it back into the landing area, and it is "
        "delivered as a new file",
        file.reason);
  }
  return "a newer version of it is registered: resend that by its path";
}

/// The words of a command line, and the files that they mean: a version by its id, the latest
/// version by its path, all files of a batch, which is one destination's.
class Choice {
 public:
  Choice(const std::vector<std::string>& names, const std::string& destination,
         metastore::Demand demand)
      : names_(names.begin(), names.end()),
        unmatched_(names_),
        destination_(destination),
        demand_(std::move(demand)) {}

  void see(const FileRecord& file, std::span<const Delivery> deliveries) {
    const bool by_path = take_name(file.path);
    if (by_path) latest_[{file.landing, file.path}] = wanted_of(file, deliveries, destination_);
    if (take_name(file.id)) add(wanted_of(file, deliveries, destination_));
    for (const Delivery& delivery : deliveries) {
      if (!is_meant(delivery, destination_) || !take_name(delivery.batch_id)) continue;
      add(wanted_of(file, deliveries, std::string(delivery.destination)));
    }
  }

  Result<void> check() const {
    if (unmatched_.empty()) return {};
    return make_error(ErrorKind::kInvalid,
                      "{}: no registered file has this path or id, and no batch this id ('ferry "
                      "list' shows the files)",
                      *unmatched_.begin());
  }

  std::vector<Wanted> wanted() const {
    std::vector<Wanted> all;
    for (const auto& [key, wanted] : others_) all.push_back(wanted);
    for (const auto& [key, wanted] : latest_) {
      if (!others_.contains({wanted.id, wanted.destination})) all.push_back(wanted);
    }
    return all;
  }

 private:
  bool take_name(std::string_view name) {
    if (!names_.contains(name)) return false;
    if (const auto found = unmatched_.find(name); found != unmatched_.end())
      unmatched_.erase(found);
    return true;
  }

  static bool is_meant(const Delivery& delivery, std::string_view destination) {
    return destination.empty() || delivery.destination.empty() ||
           delivery.destination == destination;
  }

  Wanted wanted_of(const FileRecord& file, std::span<const Delivery> deliveries,
                   const std::string& destination) const {
    Standing best = metastore::standing_of(file, nullptr);
    for (const Delivery& delivery : deliveries) {
      if (!is_meant(delivery, destination)) continue;
      const Standing standing = metastore::standing_of(file, &delivery);
      if (best != Standing::kSuccessful) best = standing;
    }
    Wanted wanted{file.id, file.path, destination, obstacle_of(file, best)};
    wanted.is_unrouted = !metastore::is_still_wanted(file, deliveries, demand_, destination);
    if (wanted.is_unrouted) wanted.obstacle = "no route leads it there any more";
    return wanted;
  }

  void add(Wanted wanted) {
    std::pair key(wanted.id, wanted.destination);
    others_.try_emplace(std::move(key), std::move(wanted));
  }

  std::set<std::string, std::less<>> names_;
  std::set<std::string, std::less<>> unmatched_;
  const std::string& destination_;
  const metastore::Demand demand_;
  std::map<std::pair<std::string, std::string>, Wanted> latest_;  // by landing area and path
  std::map<std::pair<std::string, std::string>, Wanted> others_;  // by id and destination
};

/// Shows CHOICE the files with these ids and paths, and those of batches with these ids.
Result<void> look_up(metastore::Metastore& store, const std::vector<std::string>& names,
                     Choice& choice) {
  const auto see = [&](const FileRecord& file, auto deliveries) { choice.see(file, deliveries); };
  if (auto visited = store.visit({.names = names}, see); !visited) return visited;
  std::vector<std::string> ids;
  for (const std::string& name : names) {
    auto visited = store.visit_transfers(
        {.batch_id = name},
        [&](const FileRecord& file, const Delivery&) { ids.push_back(file.id); });
    if (!visited) return visited;
  }
  for (std::size_t begin = 0; begin < ids.size(); begin += kIdsAtOnce) {
    const auto end = ids.begin() + std::min(begin + kIdsAtOnce, ids.size());
    auto visited = store.visit({.names = {ids.begin() + begin, end}}, see);
    if (!visited) return visited;
  }
  return {};
}

bool is_of(const metastore::Release& release, const Wanted& wanted) {
  return release.id == wanted.id &&
         (wanted.destination.empty() || release.destination == wanted.destination);
}

/// What is wanted of a batch is asked for by the batch's destination.
Result<std::vector<metastore::Release>> resend(metastore::Metastore& store,
                                               const std::vector<Wanted>& wanted) {
  std::map<std::string, std::vector<std::string>> ids;
  for (const Wanted& one : wanted) {
    if (!one.is_unrouted) ids[one.destination].push_back(one.id);
  }
  std::vector<metastore::Release> all;
  for (const auto& [destination, there] : ids) {
    auto resent = store.resend(there, destination);
    if (!resent) return resent;
    std::ranges::move(*resent, std::back_inserter(all));
  }
  return all;
}

void print_result(const std::vector<Wanted>& wanted, const std::vector<metastore::Release>& resent,
                  bool as_json) {
  Json files = Json::array();
  Json left = Json::array();
  for (const Wanted& one : wanted) {
    bool any = false;
    for (const metastore::Release& release : resent) {
      if (!is_of(release, one)) continue;
      any = true;
      files.push_back({{"id", one.id}, {"path", one.path}, {"destination", release.destination}});
      if (as_json) continue;
      print(fmt::format("{} is to be delivered to {} again\n", escape_controls(one.path),
                        escape_controls(release.destination)));
    }
    if (any) continue;
    left.push_back({{"id", one.id}, {"path", one.path}, {"reason", one.obstacle}});
    if (as_json) continue;
    print(fmt::format("{} is left as it is: {}\n", escape_controls(one.path),
                      escape_controls(one.obstacle)));
  }
  if (as_json) {
    print_json({{"resent", resent.size()}, {"files", std::move(files)}, {"left", std::move(left)}});
  } else if (!resent.empty()) {
    print("the next 'ferry transfer' delivers what is pending\n");
  }
}

Outcome<ExitStatus> run_resend(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  auto store = open_store(*settings, Access::kWrite);
  if (!store) return std::unexpected(store.error());
  const auto only = arguments.last("destination");
  if (const auto known = check_destination(**store, *settings, only); !known) {
    return fail(known.error());
  }
  const std::string destination = only.value_or("");
  Choice choice(arguments.positional, destination, make_demand(*settings));
  const auto visited = look_up(**store, arguments.positional, choice);
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  if (auto known = choice.check(); !known) return fail(known.error());

  const std::vector<Wanted> wanted = choice.wanted();
  const auto resent = resend(**store, wanted);
  if (!resent) return fail(resent.error(), Origin::kMetastore);
  print_result(wanted, *resent, arguments.has("json"));
  const bool all = std::ranges::all_of(wanted, [&](const Wanted& one) {
    return std::ranges::any_of(*resent, [&](const auto& release) { return is_of(release, one); });
  });
  return all ? ExitStatus::kDone : ExitStatus::kSomeFailed;
}

}  // namespace

Command resend_command() {
  return {
      .name = "resend",
      .bit = kResendBit,
      .summary = "have delivered files delivered again",
      .positional = "PATH|ID|BATCH...",
      .min_positional = 1,
      .max_positional = static_cast<std::size_t>(-1),
      .description =
          "For files that a destination had and lost: they are pending again, and the next\n"
          "'ferry transfer' delivers them as if for the first time, with a control file. A path\n"
          "means its latest version to all destinations that had it, a batch all of its files to "
          "the\n"
          "destination that it went to. What has been replaced by a newer version, or is gone "
          "from\n"
          "its landing area, cannot be sent again.",
      .flags = {{"destination", "NAME", "only to this destination"},
                {"json", "", "print what is to be delivered again as JSON"}},
      .exits = {{ExitStatus::kDone, "all of them are to be delivered again"},
                {ExitStatus::kSomeFailed,
                 "some files cannot be sent again, or the result not be written"},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_resend};
}

}  // namespace ferry::app
