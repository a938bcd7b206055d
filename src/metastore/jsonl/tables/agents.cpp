#include "metastore/jsonl/tables/agents.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "ferry/base/lock.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr std::string_view kSuffix = ".lock";

std::string lock_file(std::string_view agent) {
  return fmt::format("{}/{}{}", kAgents, agent, kSuffix);
}

class LockedPresence : public AgentPresence {
 public:
  LockedPresence(std::shared_ptr<const Directory> directory, std::string name, FileLock lock)
      : directory_(std::move(directory)), name_(std::move(name)), lock_(std::move(lock)) {}
  LockedPresence(const LockedPresence&) = delete;
  LockedPresence& operator=(const LockedPresence&) = delete;
  ~LockedPresence() override {
    const AsOwner owner(*directory_);
    [[maybe_unused]] const auto removed = directory_->remove(lock_file(name_));
  }

  const std::string& name() const override { return name_; }

 private:
  std::shared_ptr<const Directory> directory_;
  std::string name_;
  FileLock lock_;
};

/// What the kernel tells everybody: proc_locks(5). For those who may not open the lock's file.
bool is_in_list_of_locks(const struct stat& file) {
  const auto locks = read_file("/proc/locks");
  const std::string inode =
      fmt::format(" {:02x}:{:02x}:{} ", major(file.st_dev), minor(file.st_dev), file.st_ino);
  return !locks || locks->find(inode) != std::string::npos;
}

}  // namespace

std::string new_agent_name() {
  std::array<char, 65> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {"host"};
  // The end of a version 7 UUID is random.
  return fmt::format("{}-{}-{}", host.data(), ::getpid(), uuid_v7().substr(28));
}

Result<std::unique_ptr<AgentPresence>> make_presence(std::shared_ptr<const Directory> directory,
                                                     std::string name) {
  if (auto made = directory->make_folder(kAgents); !made) return made.error();
  const std::string file = lock_file(name);
  auto fd = directory->open_lock(file);
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), directory->shown(file));
  if (!lock) return lock.error();
  if (!*lock) {
    return make_error(ErrorKind::kBusy, "{} is held by another agent", directory->shown(file));
  }
  return std::make_unique<LockedPresence>(std::move(directory), std::move(name), std::move(**lock));
}

void remove_dead_agents(const Directory& directory) {
  const auto names = directory.list(kAgents);
  if (!names) return;
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    const std::string file = fmt::format("{}/{}", kAgents, name);
    const auto fd = directory.open_file(file, O_RDONLY);
    if (!fd) continue;
    const auto held = FileLock::is_held(fd->get(), directory.shown(file));
    if (!held || *held) continue;
    [[maybe_unused]] const auto removed = directory.remove(file);
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
  const std::string file = lock_file(agent);
  const auto fd = directory_.open_file(file, O_RDONLY);
  if (fd) {
    const auto held = FileLock::is_held(fd->get(), directory_.shown(file));
    return !held || *held;  // taking a living agent for dead would deliver its files twice
  }
  const Error& error = fd.error();
  if (error.kind == ErrorKind::kNotFound) return false;
  if (error.kind == ErrorKind::kInvalid) return false;  // no name that we gave
  struct stat status{};
  if (error.os_code == EACCES &&
      ::fstatat(directory_.fd(), file.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return is_in_list_of_locks(status);
  }
  log::warning("cannot tell whether an agent runs", {{"agent", agent}, {"error", error.message}});
  return true;
}

}  // namespace ferry::metastore
