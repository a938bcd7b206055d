#include "metastore/agents.h"

#include <unistd.h>

#include <array>
#include <boost/filesystem/directory.hpp>

#include "ferry/base/lock.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore {
namespace {

constexpr std::string_view kSuffix = ".lock";

fs::path lock_file(const fs::path& agents, std::string_view agent) {
  return agents / fmt::format("{}{}", agent, kSuffix);
}

std::string new_agent_name() {
  std::array<char, 65> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {"host"};
  // The end of a version 7 UUID is random.
  return fmt::format("{}-{}-{}", host.data(), ::getpid(), uuid_v7().substr(28));
}

class LockedPresence : public AgentPresence {
 public:
  LockedPresence(std::string name, fs::path file, FileLock lock)
      : name_(std::move(name)), file_(std::move(file)), lock_(std::move(lock)) {}
  LockedPresence(const LockedPresence&) = delete;
  LockedPresence& operator=(const LockedPresence&) = delete;
  ~LockedPresence() override { ::unlink(file_.c_str()); }

  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  fs::path file_;
  FileLock lock_;
};

}  // namespace

Result<std::unique_ptr<AgentPresence>> make_presence(const fs::path& agents) {
  if (auto made = make_directories(agents); !made) return made.error();
  std::string name = new_agent_name();
  fs::path file = lock_file(agents, name);
  auto lock = FileLock::try_acquire(file);
  if (!lock) return lock.error();
  if (!*lock) {
    return make_error(ErrorKind::kBusy, "{} is held by another agent", file.string());
  }
  return std::make_unique<LockedPresence>(std::move(name), std::move(file), std::move(**lock));
}

void remove_dead_agents(const fs::path& agents) {
  boost::system::error_code code;
  for (fs::directory_iterator entry(agents, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() != fs::path(std::string(kSuffix))) continue;
    const auto held = FileLock::is_held(entry->path());
    if (held && !*held) ::unlink(entry->path().c_str());
  }
}

bool Liveness::is_alive(std::string_view agent) {
  // Foreign rows may name anything.
  if (agent.empty() || agent.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return false;
  }
  const auto [answer, is_new] = answers_.try_emplace(std::string(agent), false);
  if (is_new) answer->second = ask(answer->first);
  return answer->second;
}

bool Liveness::ask(const std::string& agent) const {
  const auto held = FileLock::is_held(lock_file(agents_, agent));
  if (held) return *held;
  if (held.error().kind == ErrorKind::kInvalid) return false;  // no name that we gave
  // Taking a living agent for dead would deliver its files twice.
  log::warning("cannot tell whether an agent runs",
               {{"agent", agent}, {"error", held.error().message}});
  return true;
}

}  // namespace ferry::metastore
