// Where landing areas lie, and what must not lie in them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/config/settings.h"

namespace ferry::app {

/// Where a landing area lies.
struct Whereabouts {
  std::string account;             // account_of its server; empty: this host
  fs::path directory;              // on a server: normal
  std::string text;                // its path, or a URL
  std::string_view key;            // that gives it in a configuration
  std::vector<std::string> names;  // all that the area may be called in the registry
};

Whereabouts whereabouts_of(const LandingSettings& landing);

/// A directory's path, or a URL.
std::string place_of(const LandingSettings& landing);

/// Whom a server takes us for, as user@host:port: each account may see directories of its own.
std::string account_of(const sftp::Url& url);

/// Two URLs of one directory of one account, as far as their letters tell.
bool is_same_place(const sftp::Url& one, const sftp::Url& other);

/// PATH with its symbolic links resolved, as far as it is there.
fs::path resolved(const fs::path& path);

/// True if files of INNER would be taken for files that landed in OUTER: it lies in OUTER, and not
/// below a dot directory.
bool is_visible_inside(const fs::path& inner, const fs::path& outer);

/// Where abnormal files of a landing area on this host are moved to.
fs::path quarantine_of(const LandingSettings& landing);

/// True if INNER is OUTER, or lies in it at any depth.
bool lies_inside(const fs::path& inner, const fs::path& outer);

/// The same of AREA and a DIRECTORY that its host and account have.
bool lies_inside(const Whereabouts& area, const fs::path& directory);

/// As is_visible_inside, of a DIRECTORY that the host and the account of AREA have. Links on
/// servers are not known, nor where an account's home is: what lies below it is compared with its
/// like only.
bool is_visible_in(const Whereabouts& area, const fs::path& directory);

/// Whether ROUTE takes files of LANDING.
bool takes_from(const RouteSettings& route, const LandingSettings& landing);

/// Something about a landing area that cannot work.
struct Misplaced {
  std::string landing;   // its name
  std::string_view key;  // in its table
  std::string message;
};

/// What lies in a landing area and must not, areas and quarantines that overlap, and what cannot be
/// had on a server. Asks the file system for symbolic links only: what is not there yet is taken by
/// its path.
std::vector<Misplaced> find_misplaced(const Settings& settings);

}  // namespace ferry::app
