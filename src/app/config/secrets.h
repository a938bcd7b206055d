// Passwords that come in the environment.
#pragma once

#include <string>

namespace ferry::app {

/// Empty: not set.
struct EnvironmentSecrets {
  std::string password;    // FERRY_PASSWORD
  std::string passphrase;  // FERRY_PASSPHRASE
};

/// Takes them out of the environment when it finds them there, also out of what /proc/PID/environ
/// shows, and knows them from then on. To be called before there are other threads.
const EnvironmentSecrets& environment_secrets();

}  // namespace ferry::app
