#include "app/config/state_directory.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

namespace ferry::app {
namespace {

class Environment {
 public:
  Environment() { clear(); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { clear(); }

 private:
  static void clear() {
    for (const char* name : {"STATE_DIRECTORY", "XDG_STATE_HOME"}) ::unsetenv(name);
  }
};

Settings with_metastore(std::string location) {
  Settings settings;
  settings.general.metastore.text = std::move(location);
  return settings;
}

constexpr const char* kDatabase = "postgresql://db.example.org/ferry";

TEST_CASE_FIXTURE(Environment, "a metastore's directory is the state directory, whatever else is") {
  ::setenv("STATE_DIRECTORY", "/var/lib/elsewhere", 1);
  Settings settings = with_metastore("/srv/store");
  settings.general.state_dir = "/var/lib/other";
  CHECK(state_directory(settings).path() == "/srv/store");
  CHECK(state_directory(settings).journals() == "/srv/store/journals");
}

TEST_CASE_FIXTURE(Environment, "with a metastore in a database the configured one outweighs all") {
  ::setenv("STATE_DIRECTORY", "/var/lib/elsewhere", 1);
  Settings settings = with_metastore(kDatabase);
  settings.general.state_dir = "/var/lib/other";
  CHECK(state_directory(settings).path() == "/var/lib/other");
}

TEST_CASE_FIXTURE(Environment, "a service has the first directory that systemd made for it") {
  ::setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
  CHECK(state_directory(with_metastore(kDatabase)).path() == "/var/lib/one");
}

TEST_CASE_FIXTURE(Environment, "others have the system's if they may write there, or their own") {
  ::setenv("XDG_STATE_HOME", "/home/jane/state", 1);
  const bool is_of_system = ::access("/var/lib/ferry", W_OK | X_OK) == 0;
  CHECK(state_directory(with_metastore(kDatabase)).path() ==
        (is_of_system ? "/var/lib/ferry" : "/home/jane/state/ferry"));
}

}  // namespace
}  // namespace ferry::app
