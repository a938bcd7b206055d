#include "sftp/ssh/local_user.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace ferry::sftp {
namespace {

struct Account {
  std::string name;
  fs::path home;
};

Account account() {
  std::vector<char> buffer(16384);
  struct passwd entry{};
  struct passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return {};
  }
  return {entry.pw_name, entry.pw_dir};
}

}  // namespace

std::string local_user_name() {
  return account().name;
}

fs::path home_directory() {
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? fs::path(home) : account().home;
}

}  // namespace ferry::sftp
