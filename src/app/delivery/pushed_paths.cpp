#include "app/delivery/pushed_paths.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "app/config/placement.h"
#include "app/config/usual_places.h"
#include "ferry/base/text.h"
#include "ferry/landing/upload.h"

namespace ferry::app {
namespace {

struct Given {
  std::string word;
  fs::path path;  // absolute, without "..", and without links but for its last component
  bool is_directory = false;
};

Result<Given> look_at(const std::string& word) {
  if (word.empty()) return make_error(ErrorKind::kInvalid, "an empty path is given");
  // Not normalized: what ".." means depends on the links before it.
  const fs::path path = absolute_path(word);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return errno_error(errno, escape_controls(word));
  if (S_ISDIR(status.st_mode)) return Given{word, resolved(path), true};
  if (::lstat(path.c_str(), &status) != 0) return errno_error(errno, escape_controls(word));
  if (S_ISLNK(status.st_mode)) {
    return make_error(ErrorKind::kInvalid, "{} is a symbolic link: name the file that it leads to",
                      escape_controls(word));
  }
  if (!S_ISREG(status.st_mode)) {
    return make_error(ErrorKind::kInvalid, "{} is not a regular file: only those are delivered",
                      escape_controls(word));
  }
  return Given{word, resolved(path.parent_path()) / path.filename(), false};
}

/// PATH as the area names it; "": the area itself. Nothing: it does not lie there.
std::optional<std::string> path_in(const LandingSettings& landing, const fs::path& path) {
  const fs::path relative = path.lexically_relative(resolved(landing.path));
  if (relative.empty() || *relative.begin() == "..") return std::nullopt;
  return relative == "." ? "" : relative.string();
}

bool is_given_by_place(const LandingSettings& landing) {
  return landing.name == place_of(landing);
}

Error lies_elsewhere(const Given& given, const std::vector<LandingSettings>& known) {
  const std::string word = escape_controls(given.word);
  if (known.size() == 1) {
    return make_error(ErrorKind::kInvalid,
                      "{} does not lie in the landing area {}: 'ferry upload' copies it there, "
                      "'--landing DIR' delivers it from a directory of your own",
                      word, place_of(known.front()));
  }
  return make_error(ErrorKind::kInvalid,
                    "{} does not lie in any of the {} landing areas: 'ferry upload' copies it "
                    "into one, '--landing DIR' delivers it from a directory of your own",
                    word, known.size());
}

class Areas {
 public:
  Areas(const Settings& settings, const LandingSettings& model)
      : settings_(settings), model_(model) {}

  Result<void> add(const Given& given) {
    for (const LandingSettings& landing : local_landings(settings_)) {
      if (const auto path = path_in(landing, given.path)) {
        LandingSettings area = landing;
        if (is_given_by_place(landing)) area.moves_aside = false;
        return add_part(std::move(area), *path, given);
      }
    }
    const auto& known = settings_.landings;
    if (!known.empty()) return lies_elsewhere(given, known);
    LandingSettings area = model_;
    area.path = given.is_directory ? given.path : given.path.parent_path();
    area.name = area.path.string();
    area.moves_aside = false;
    return add_part(std::move(area), given.is_directory ? "" : given.path.filename().string(),
                    given);
  }

  std::vector<LandingSettings> take() { return std::move(areas_); }

 private:
  /// PATH "": the whole of it.
  Result<void> add_part(LandingSettings area, const std::string& path, const Given& given) {
    // Of directories it is the names that count: something in them could be registered.
    const std::string sample = given.is_directory ? path + (path.empty() ? "x" : "/x") : path;
    landing::LandingArea judge;
    if (!given.is_directory) judge.ignore = area.ignore;
    if (const auto fit = landing::check_upload_path(judge, sample); !fit) return fit.error();
    auto found = std::ranges::find(areas_, area.name, &LandingSettings::name);
    if (found == areas_.end()) {
      area.only.emplace();
      found = areas_.insert(areas_.end(), std::move(area));
    }
    if (path.empty()) {
      found->only.reset();
    } else if (found->only) {
      (given.is_directory ? found->only->directories : found->only->files).push_back(path);
    }
    return {};
  }

  const Settings& settings_;
  const LandingSettings& model_;
  std::vector<LandingSettings> areas_;
};

}  // namespace

Result<std::vector<LandingSettings>> areas_of_paths(const Settings& settings,
                                                    const LandingSettings& model,
                                                    const std::vector<std::string>& paths) {
  Areas areas(settings, model);
  for (const std::string& path : paths) {
    const auto given = look_at(path);
    if (!given) return given.error();
    if (const auto added = areas.add(*given); !added) return added.error();
  }
  return areas.take();
}

Result<void> visit_pushed(metastore::Metastore& metastore,
                          const std::vector<LandingSettings>& areas,
                          const metastore::Metastore::FileVisitor& visitor) {
  const auto visit = [&](metastore::FileQuery query, const LandingSettings& area) {
    query.landings = whereabouts_of(area).names;
    query.states = {metastore::FileState::kReady};
    query.latest_versions = true;
    return metastore.visit(query, visitor);
  };
  for (const LandingSettings& area : areas) {
    const landing::AreaParts parts = area.only.value_or(landing::AreaParts{});
    if (!area.only || !parts.files.empty()) {
      if (auto done = visit({.names = parts.files}, area); !done) return done;
    }
    if (parts.directories.empty()) continue;
    if (auto done = visit({.below = parts.directories}, area); !done) return done;
  }
  return {};
}

}  // namespace ferry::app
