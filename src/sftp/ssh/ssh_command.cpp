#include "sftp/ssh/ssh_command.h"

#include <chrono>
#include <cstdlib>

namespace ferry::sftp {
namespace {

constexpr std::uint16_t kDefaultPort = 22;

/// A file name as ssh_config(5) reads it: quoted, without expansion of %-tokens.
std::string quoted(const fs::path& file) {
  std::string result = "\"";
  for (const char character : file.string()) {
    if (character == '"' || character == '\\') result += '\\';
    if (character == '%') result += '%';
    result += character;
  }
  return result + '"';
}

std::string quoted(const std::vector<fs::path>& files) {
  std::string result;
  for (const fs::path& file : files) {
    if (!result.empty()) result += ' ';
    result += quoted(file);
  }
  return result;
}

}  // namespace

std::vector<std::string> ssh_options(const ConnectOptions& options) {
  std::vector<std::string> settings = {
      "BatchMode=yes",
      // Says when the login is done, and what was agreed upon.
      options.tells_agreement ? "LogLevel=DEBUG1" : "LogLevel=VERBOSE",
      // A connection of our own, for this and nothing else.
      "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
      "ForwardX11=no", "RequestTTY=no", "RemoteCommand=none", "PermitLocalCommand=no",
      "ServerAliveInterval=15", "ServerAliveCountMax=3", "NoHostAuthenticationForLocalhost=no"};
  settings.push_back(options.accept_new_host_key ? "StrictHostKeyChecking=accept-new"
                                                 : "StrictHostKeyChecking=yes");
  settings.push_back(fmt::format("ConnectTimeout={}",
                                 std::chrono::ceil<std::chrono::seconds>(options.timeout).count()));
  if (!options.known_hosts.empty()) {
    settings.push_back("UserKnownHostsFile=" + quoted(options.known_hosts));
    settings.push_back("GlobalKnownHostsFile=/dev/null");
  }
  for (const fs::path& file : options.identities) {
    settings.push_back("IdentityFile=" + quoted(file));
  }
  if (!options.identities.empty()) settings.push_back("IdentitiesOnly=yes");
  if (!options.use_agent) settings.push_back("IdentityAgent=none");

  std::vector<std::string> result;
  result.reserve(settings.size());
  for (const std::string& setting : settings) result.push_back("-o" + setting);
  if (options.port != kDefaultPort) result.push_back(fmt::format("-p{}", options.port));
  if (!options.user.empty()) result.push_back("-l" + options.user);
  return result;
}

std::vector<std::string> ssh_environment() {
  std::vector<std::string> result;
  for (const char* name : {"SSH_AUTH_SOCK", "SSH_SK_PROVIDER", "SSH_SK_HELPER", "SSH_PKCS11_HELPER",
                           "KRB5CCNAME", "KRB5_CONFIG", "XDG_RUNTIME_DIR"}) {
    if (const char* value = std::getenv(name)) result.push_back(fmt::format("{}={}", name, value));
  }
  return result;
}

std::vector<std::string> ssh_command(const ConnectOptions& options,
                                     const std::vector<std::string>& algorithms) {
  std::vector<std::string> command = ssh_options(options);
  command.insert(command.begin(), "ssh");
  command.insert(command.end(), algorithms.begin(), algorithms.end());
  if (options.command.empty()) command.emplace_back("-s");
  command.emplace_back("--");
  command.push_back(options.host);
  command.push_back(options.command.empty() ? "sftp" : options.command);
  return command;
}

}  // namespace ferry::sftp
