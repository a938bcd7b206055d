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

std::string without_password(std::string_view word) {
  const auto scheme = word.find("://");
  const auto colon = word.find(':', scheme == word.npos ? 0 : scheme + 3);
  const auto at = word.rfind('@');
  if (colon == word.npos || at == word.npos || at < colon) return std::string(word);
  return std::string(word.substr(0, colon + 1)) + "…" + std::string(word.substr(at));
}

}  // namespace ferry::app
