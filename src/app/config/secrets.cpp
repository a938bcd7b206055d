#include "app/config/secrets.h"

#include <cstdlib>
#include <cstring>

namespace ferry::app {
namespace {

void take(const char* name, std::string& secret) {
  char* value = std::getenv(name);
  if (value == nullptr) return;
  secret = value;
  ::explicit_bzero(value, std::strlen(value));
  ::unsetenv(name);
}

}  // namespace

const EnvironmentSecrets& environment_secrets() {
  static EnvironmentSecrets secrets;
  take("FERRY_PASSWORD", secrets.password);
  take("FERRY_PASSPHRASE", secrets.passphrase);
  return secrets;
}

}  // namespace ferry::app
