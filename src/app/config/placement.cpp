#include "app/config/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cctype>

#include "app/config/state_directory.h"
#include "ferry/base/glob.h"
#include "ferry/base/path.h"
#include "ferry/landing/quarantine.h"
#include "ferry/landing/upload.h"

namespace ferry::app {
namespace {

bool lies_in(const LandingSettings& inner, const LandingSettings& outer) {
  const Whereabouts one = whereabouts_of(inner);
  const Whereabouts other = whereabouts_of(outer);
  return one.account == other.account && is_visible_in(other, one.directory);
}

/// Those of PATH, which is normal; the first of an absolute one is empty, and "." has none.
std::vector<std::string_view> names_of(std::string_view path) {
  std::vector<std::string_view> names;
  for (Components components(path); const auto name = components.next();) {
    if (names.empty() || !name->empty()) names.push_back(*name);
  }
  if (path == ".") names.clear();
  return names;
}

bool is_visible_below(const std::string& inner, const std::string& outer) {
  const auto inner_names = names_of(inner);
  const auto outer_names = names_of(outer);
  const auto [below, left] = std::ranges::mismatch(inner_names, outer_names);
  return std::all_of(left, outer_names.end(), [](std::string_view name) { return name == ".."; }) &&
         std::none_of(below, inner_names.end(),
                      [](std::string_view name) { return name.empty() || name.starts_with('.'); });
}

/// Of two normal paths.
bool is_below(const std::string& inner, const std::string& outer) {
  const auto inner_names = names_of(inner);
  const auto outer_names = names_of(outer);
  return std::ranges::mismatch(inner_names, outer_names).in2 == outer_names.end();
}

/// AREA ignores no files of all names in DIRECTORY, which is below it.
bool minds(const LandingSettings& landing, const Whereabouts& area, const fs::path& directory) {
  landing::LandingArea judge;
  judge.ignore = landing.ignore;
  const fs::path inside = directory.lexically_relative(area.directory) / "x";
  return landing::check_upload_path(judge, inside.string()).has_value();
}

bool takes_every_name(const RouteSettings& route) {
  return route.match.empty() || std::ranges::any_of(route.match, [](const std::string& pattern) {
           return Glob(pattern).matches_everything();
         });
}

class Placement {
 public:
  explicit Placement(const Settings& settings) : settings_(settings) {}

  std::vector<Misplaced> find() {
    for (const LandingSettings& landing : settings_.landings) {
      if (landing.is_remote()) {
        check_remote(landing);
      } else {
        check_inside(landing);
      }
    }
    check_apart();
    check_quarantines();
    check_circles();
    return std::move(found_);
  }

 private:
  void check_remote(const LandingSettings& landing) {
    if (!landing.validate.empty()) {
      complain(landing, "validate",
               "validate: no command can look at files of a landing area on a server");
    }
    if (!landing.quarantine.empty()) {
      complain(landing, "quarantine",
               "quarantine: nothing is moved in a landing area on a server: what is quarantined "
               "there is not delivered, and stays where it is");
    }
  }

  void check_inside(const LandingSettings& landing) {
    for (const LandingSettings& other : settings_.landings) {
      check_inside(landing, "quarantine", other.quarantine,
                   "its files would be taken for files that landed; put it elsewhere on the same "
                   "file system, or below a dot directory");
    }
    check_inside(
        landing, "metastore", settings_.general.metastore.directory(),
        "its tables would be taken for files that landed; put it elsewhere, or below a dot "
        "directory");
    check_inside(landing, "spool", settings_.transfer.spool,
                 "transformed files would be taken for files that landed; put it elsewhere, or "
                 "below a dot directory");
    if (settings_.general.metastore.is_directory()) return;
    check_inside(landing, "state_dir", state_directory(settings_).path(),
                 "what ferry keeps there would be taken for files that landed; put it elsewhere, "
                 "or below a dot directory");
  }

  void check_inside(const LandingSettings& landing, std::string_view what, const fs::path& inner,
                    std::string_view why) {
    if (inner.empty() || !inner.is_absolute() || !is_visible_inside(inner, landing.path)) return;
    complain(landing, "path",
             fmt::format("{} {} lies in the landing area {}: {}", what, inner.string(),
                         landing.path.string(), why));
  }

  void check_apart() {
    const auto& landings = settings_.landings;
    for (auto one = landings.begin(); one != landings.end(); ++one) {
      for (auto other = std::next(one); other != landings.end(); ++other) {
        if (!lies_in(*one, *other) && !lies_in(*other, *one)) continue;
        complain(
            *other, whereabouts_of(*other).key,
            fmt::format("landing areas {} and {} overlap: their files would be delivered twice",
                        place_of(*one), place_of(*other)));
      }
    }
  }

  /// What is held may not land, and is told from what another area holds by its directory.
  void check_quarantines() {
    auto landings = local_landings(settings_);
    for (auto one = landings.begin(); one != landings.end(); ++one) {
      const fs::path quarantine = quarantine_of(*one);
      for (const LandingSettings& other : landings) {
        if (!lies_inside(other.path, quarantine)) continue;
        complain(other, "path",
                 fmt::format("landing area {} lies in {}, the quarantine of {}: what is held there "
                             "would be delivered",
                             place_of(other), quarantine.string(), place_of(*one)));
      }
      for (auto other = std::next(one); other != landings.end(); ++other) {
        const fs::path others = quarantine_of(*other);
        if (!lies_inside(quarantine, others) && !lies_inside(others, quarantine)) continue;
        complain(*other, "quarantine",
                 fmt::format("landing areas {} and {} have one quarantine, {}: give each a "
                             "directory of its own",
                             place_of(*one), place_of(*other), others.string()));
      }
    }
  }

  void check_circles() {
    for (const LandingSettings& landing : settings_.landings) {
      const Whereabouts area = whereabouts_of(landing);
      for (const DestinationSettings& destination : settings_.destinations) {
        if (area.account != account_of(destination.url)) continue;
        if (!comes_back(landing, area, destination)) continue;
        complain(landing, area.key,
                 fmt::format("deliveries to {} lie in the landing area {}: they would land there "
                             "again",
                             destination.name, area.text));
      }
    }
  }

  /// If a route matches by name, what it delivers below the area need not match again. In the area
  /// itself it takes its own source's place.
  bool comes_back(const LandingSettings& landing, const Whereabouts& area,
                  const DestinationSettings& destination) const {
    const fs::path directory = normal_path(destination.url.directory);
    if (directory == area.directory) return is_led(landing, destination, false);
    const fs::path lists = destination.control_dir.empty()
                               ? directory
                               : fs::path(normal_path(destination.control_dir));
    const auto lands = [&](const fs::path& place) {
      return is_visible_in(area, place) && minds(landing, area, place);
    };
    return (lands(directory) || lands(lists)) && is_led(landing, destination, true);
  }

  bool is_led(const LandingSettings& landing, const DestinationSettings& destination,
              bool whatever_its_name) const {
    return settings_.routes.empty() ||
           std::ranges::any_of(settings_.routes, [&](const RouteSettings& route) {
             return (!whatever_its_name || takes_every_name(route)) && takes_from(route, landing) &&
                    std::ranges::find(route.to, destination.name) != route.to.end();
           });
  }

  void complain(const LandingSettings& landing, std::string_view key, std::string message) {
    found_.push_back({landing.name, key, std::move(message)});
  }

  const Settings& settings_;
  std::vector<Misplaced> found_;
};

}  // namespace

Whereabouts whereabouts_of(const LandingSettings& landing) {
  if (landing.is_remote()) {
    const sftp::Url& url = landing.connection.url;
    return {.account = account_of(url),
            .directory = normal_path(url.directory),
            .text = url.to_string(),
            .key = "url",
            .names = {landing.name, url.to_string()}};
  }
  return {.account = {},
          .directory = landing.path,
          .text = landing.path.string(),
          .key = "path",
          .names = {landing.name, landing.path.string(), resolved(landing.path).string()}};
}

std::string place_of(const LandingSettings& landing) {
  return whereabouts_of(landing).text;
}

std::string account_of(const sftp::Url& url) {
  std::string host = url.host;
  std::ranges::transform(host, host.begin(), [](unsigned char c) { return std::tolower(c); });
  return fmt::format("{}@{}:{}", url.user, host, url.port);
}

bool is_same_place(const sftp::Url& one, const sftp::Url& other) {
  return account_of(one) == account_of(other) &&
         normal_path(one.directory) == normal_path(other.directory);
}

fs::path resolved(const fs::path& path) {
  boost::system::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

bool is_visible_inside(const fs::path& inner, const fs::path& outer) {
  return is_visible_below(normal_path(resolved(inner).string()),
                          normal_path(resolved(outer).string()));
}

bool takes_from(const RouteSettings& route, const LandingSettings& landing) {
  return route.landing.empty() ||
         std::ranges::find(route.landing, landing.name) != route.landing.end();
}

fs::path quarantine_of(const LandingSettings& landing) {
  return landing::quarantine_path(landing.path, landing.quarantine);
}

bool lies_inside(const fs::path& inner, const fs::path& outer) {
  return is_below(normal_path(resolved(inner).string()), normal_path(resolved(outer).string()));
}

bool lies_inside(const Whereabouts& area, const fs::path& directory) {
  if (area.account.empty()) return lies_inside(area.directory, directory);
  return is_below(area.directory.string(), normal_path(directory.string()));
}

bool is_visible_in(const Whereabouts& area, const fs::path& directory) {
  if (area.account.empty()) return is_visible_inside(directory, area.directory);
  return is_visible_below(normal_path(directory.string()), area.directory.string());
}

std::vector<Misplaced> find_misplaced(const Settings& settings) {
  return Placement(settings).find();
}

}  // namespace ferry::app
