#include "app/config/open_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "app/config/routing.h"
#include "app/config/state_directory.h"
#include "app/config/text.h"
#include "app/config/usual_places.h"
#include "app/report/reading_progress.h"
#include "ferry/base/directory.h"

namespace ferry::app {

namespace {

bool is_metastore(const fs::path& directory) {
  boost::system::error_code ignored;
  return std::ranges::any_of(
      std::array{"metastore.json", "file_registry.jsonl", "transfer_logs.jsonl"},
      [&](const char* name) { return fs::exists(directory / name, ignored); });
}

/// Another metastore beside DIRECTORY that may be meant.
std::string metastore_suggestion(const fs::path& directory) {
  std::vector<std::string> names;
  boost::system::error_code error;
  for (fs::directory_iterator entry(directory.parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_metastore(entry->path())) names.push_back(entry->path().filename().string());
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto near = closest(directory.filename().string(), known);
  return near ? fmt::format("; did you mean '{}'?",
                            (directory.parent_path() / std::string(*near)).string())
              : "";
}

/// A mistyped name must not become a new store. What cannot be looked at is left to who opens it.
Result<void> check_is_there(const fs::path& directory, Access access) {
  boost::system::error_code error;
  const auto status = fs::status(directory, error);
  if (access == Access::kCreate || is_metastore(directory)) return {};
  if (fs::exists(status) && !fs::is_directory(status)) return {};
  const bool is_empty = fs::is_directory(status) && fs::is_empty(directory, error) && !error;
  if (error && error != boost::system::errc::no_such_file_or_directory) return {};
  if (is_empty && access == Access::kWrite) return {};
  return make_error(ErrorKind::kNotFound,
                    "{} has no metastore: there is no metastore.json and no file_registry.jsonl{}",
                    directory.string(), metastore_suggestion(directory));
}

/// Root that looks after the files of a service does so for the account that the service runs as.
void act_for_owner_of(const fs::path& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) == 0) act_for(status.st_uid, status.st_gid);
}

Result<void> check_is_given(const MetastoreLocation& location, Access access) {
  const bool is_by_default = location.text == default_metastore();
  const bool may_use =
      !is_by_default || access == Access::kCreate || is_metastore(location.directory());
  if (location.is_given() && may_use) return {};
  return make_error(ErrorKind::kInvalid,
                    "no metastore: give --metastore DIR, set FERRY_METASTORE, or write metastore = "
                    "\"DIR\" in a configuration file");
}

metastore::Options store_options(const Settings& settings) {
  return {.lock_timeout = settings.general.lock_timeout,
          .demand = make_demand(settings),
          .on_reading = show_reading()};
}

}  // namespace

Outcome<std::unique_ptr<metastore::Metastore>> open_store(const Settings& settings, Access access) {
  const MetastoreLocation& location = settings.general.metastore;
  if (const auto given = check_is_given(location, access); !given) return fail(given.error());
  if (location.is_directory()) {
    const auto found = check_is_there(location.directory(), access);
    if (!found) return fail(found.error());
  }
  auto opened = access == Access::kRead
                    ? metastore::open_metastore_for_reading(location.text, store_options(settings))
                    : metastore::open_metastore(location.text, store_options(settings));
  if (opened) {
    act_for_owner_of(state_directory(settings).path());
    return std::move(*opened);
  }
  const bool only_absent = access == Access::kRead && opened.error().kind == ErrorKind::kNotFound;
  return fail(opened.error(), only_absent ? Origin::kLocal : Origin::kMetastore);
}

Outcome<std::unique_ptr<metastore::Metastore>> open_store_to_work(const Settings& settings,
                                                                  Access access) {
  auto store = open_store(settings, access);
  if (!store) return store;
  const auto orphans = (*store)->upkeep().orphans();
  if (!orphans) return fail(orphans.error(), Origin::kMetastore);
  if (!orphans->registry_is_empty || orphans->rows == 0) return store;
  return fail(make_error(ErrorKind::kCorrupt,
                         "metastore {}: file_registry is empty, but transfer_logs has {} rows "
                         "that tell of its files: restore file_registry from a backup, or move "
                         "both tables away to begin anew (files that still lie in the landing "
                         "areas are then delivered again)",
                         settings.general.metastore.text, orphans->rows),
              Origin::kMetastore);
}

Outcome<metastore::Upgrade> upgrade_store(const Settings& settings) {
  const MetastoreLocation& location = settings.general.metastore;
  if (const auto given = check_is_given(location, Access::kWrite); !given)
    return fail(given.error());
  if (location.is_directory()) {
    const auto found = check_is_there(location.directory(), Access::kWrite);
    if (!found) return fail(found.error());
  }
  auto upgraded = metastore::upgrade_metastore(location.text, store_options(settings));
  if (!upgraded) return fail(upgraded.error(), Origin::kMetastore);
  return *upgraded;
}

std::string registering_command(const Arguments& arguments) {
  std::string command = "ferry watch --once";
  for (const char* flag : {"config", "landing", "metastore"}) {
    const auto found = arguments.flags.find(flag);
    if (found == arguments.flags.end()) continue;
    for (const std::string& word : found->second) {
      command += fmt::format(" --{} {}", flag, quoted_for_shell(word));
    }
  }
  return command;
}

}  // namespace ferry::app
