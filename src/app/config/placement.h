// Where landing areas lie, and what must not lie in them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/config/settings.h"

namespace ferry::app {

/// Where a landing area lies.
struct Whereabouts {
  std::string host;  // of its server, with the port; empty: this one
  fs::path directory;
  std::string text;                // its path, or a URL
  std::string_view key;            // that gives it in a configuration
  std::vector<std::string> names;  // all that the area may be called in the registry
};

Whereabouts whereabouts_of(const LandingSettings& landing);

/// A directory's path, or a URL.
std::string place_of(const LandingSettings& landing);

/// PATH with its symbolic links resolved, as far as it is there.
fs::path resolved(const fs::path& path);

/// True if files of INNER would be taken for files that landed in OUTER: it lies in OUTER, and not
/// below a dot directory.
bool is_visible_inside(const fs::path& inner, const fs::path& outer);

/// Something about a landing area that cannot work.
struct Misplaced {
  std::string landing;   // its name
  std::string_view key;  // in its table
  std::string message;
};

/// What lies in a landing area and must not, areas that overlap, and what cannot be had on a
/// server. Asks the file system for symbolic links only: what is not there yet is taken by its
/// path.
std::vector<Misplaced> find_misplaced(const Settings& settings);

}  // namespace ferry::app
