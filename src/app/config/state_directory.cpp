#include "app/config/state_directory.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace ferry::app {
namespace {

constexpr const char* kOfSystem = "/var/lib/ferry";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

fs::path home_directory() {
  if (const std::string home = environment("HOME"); !home.empty()) return home;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_dir : "/";
}

fs::path state_home() {
  // Relative ones are to be ignored: XDG Base Directory Specification.
  const std::string given = environment("XDG_STATE_HOME");
  return given.starts_with('/') ? fs::path(given) : home_directory() / ".local/state";
}

fs::path default_path() {
  const std::string of_service = environment("STATE_DIRECTORY");
  if (!of_service.empty()) return of_service.substr(0, of_service.find(':'));
  if (::access(kOfSystem, W_OK | X_OK) == 0) return kOfSystem;
  return state_home() / "ferry";
}

}  // namespace

StateDirectory state_directory(const Settings& settings) {
  const GeneralSettings& general = settings.general;
  if (general.metastore.is_directory()) return StateDirectory(general.metastore.directory());
  return StateDirectory(general.state_dir.empty() ? default_path() : general.state_dir);
}

}  // namespace ferry::app
