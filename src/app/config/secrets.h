// Passwords that come in the environment, and where they should not.
#pragma once

#include <string>
#include <string_view>

namespace ferry::app {

/// Empty: not set.
struct EnvironmentSecrets {
  std::string password;    // FERRY_PASSWORD
  std::string passphrase;  // FERRY_PASSPHRASE
};

/// Takes them out of the environment when it finds them there, also out of what /proc/PID/environ
/// shows, and knows them from then on. To be called before there are other threads.
const EnvironmentSecrets& environment_secrets();

/// WORD, which should name a server or how to reach one, for a message: what may be a password in
/// it, as in "user:password@host:/dir", is "…".
std::string without_password(std::string_view word);

}  // namespace ferry::app
