#include "ferry/transfer/probe.h"

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>

#include "ferry/base/hash.h"
#include "ferry/base/time.h"
#include "ferry/base/uuid.h"
#include "transfer/deliver/many_handles.h"
#include "transfer/deliver/session.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Task;

constexpr std::size_t kProbeBytes = 64 * 1024;
constexpr std::chrono::seconds kToleratedSkew{60};
constexpr std::uint32_t kPermissions = 0600;

class Probe {
 public:
  Probe(const Destination& destination, std::uint64_t needed_bytes, StopToken& stop)
      : destination_(destination), needed_bytes_(needed_bytes), loop_(stop) {}

  std::vector<ProbeStep> run();

 private:
  bool resolve();
  bool connect();
  void algorithms();
  Task<void> extensions();
  Task<void> look_at_directories();
  Task<void> look_at_directory(std::string name, std::string directory);
  Task<Result<std::string>> nearest_directory(std::string path);
  Task<void> try_directory(std::string name, std::string directory);
  Task<void> try_large_files(std::string directory);
  Task<Result<void>> write_file(std::string path, bool measures_clock);
  Task<Result<void>> read_file(std::string path);
  Task<void> look_at_space(std::string directory);
  void compare_clocks(std::uint32_t modified, Timestamp before, Timestamp after);

  void well(std::string name, std::string message) {
    steps_.push_back({std::move(name), Health::kWell, std::move(message), {}});
  }
  void note(std::string name, std::string message, std::string cure = {}) {
    steps_.push_back({std::move(name), Health::kNote, std::move(message), std::move(cure)});
  }
  void trouble(std::string name, const Error& error, std::string cure) {
    steps_.push_back(
        {std::move(name), Health::kTrouble, error.message, std::move(cure), error.kind});
  }

  const Destination& destination_;
  const std::uint64_t needed_bytes_;
  sftp::EventLoop loop_;
  std::unique_ptr<Client> client_;
  std::vector<ProbeStep> steps_;
  std::string content_ = std::string(kProbeBytes, 'f');
};

std::vector<ProbeStep> Probe::run() {
  if (!resolve() || !connect()) return std::move(steps_);
  algorithms();
  loop_.spawn(extensions());
  loop_.run();
  loop_.spawn(look_at_directories());
  loop_.run();
  if (const auto& lost = client_->error()) {
    trouble("connection", *lost, "look at the server's log: it ended the connection");
  }
  return std::move(steps_);
}

/// ssh(1) may know the host under a name that is none (ssh_config(5), HostName).
bool Probe::resolve() {
  const std::string& host = destination_.connect.host;
  if (destination_.connect.transport == sftp::Transport::kOpenSsh) return true;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    trouble("resolve", make_error(ErrorKind::kUnreachable, "{}: {}", host, ::gai_strerror(failed)),
            "fix the host's name in the destination's url, or this host's DNS");
    return false;
  }
  ::freeaddrinfo(found);
  well("resolve", host + " has an address");
  return true;
}

bool Probe::connect() {
  sftp::ConnectOptions where = destination_.connect;
  where.tells_agreement = true;
  auto client = loop_.wait_for(Client::connect(where, {}, loop_));
  if (client) {
    client_ = std::move(*client);
    well("connect", fmt::format("host key known, login accepted at {}:{}",
                                destination_.connect.host, destination_.connect.port));
    return true;
  }
  const bool is_unreachable = client.error().kind == ErrorKind::kUnreachable;
  trouble("connect", client.error(),
          is_unreachable ? "see that the server runs, that host and port are right, and that no "
                           "firewall is in between"
                         : "");
  return false;
}

void Probe::algorithms() {
  const sftp::Agreement agreed = client_->agreement();
  const std::string names =
      fmt::format("key exchange {}, host key {}, cipher {}, MAC {}", agreed.key_exchange,
                  agreed.host_key, agreed.cipher, agreed.mac);
  if (!destination_.connect.legacy_algorithms) return well("algorithms", names);
  note("algorithms", names + "; outdated ones are proposed, too",
       "take legacy_algorithms out of the destination as soon as its server has better ones");
}

Task<void> Probe::extensions() {
  co_await client_->await_limits();
  const sftp::ServerLimits& limits = client_->limits();
  if (limits.max_open_handles > 0) {
    well("limits", fmt::format("{} bytes in a write, {} open files", client_->max_write_bytes(),
                               limits.max_open_handles));
  } else {
    well("limits",
         fmt::format("the server names none; {} bytes in a write", client_->max_write_bytes()));
  }
  if (client_->offers_posix_rename()) {
    well("posix-rename", "offered");
  } else {
    note("posix-rename",
         "not offered: a file that is replaced is removed just before the new one gets its name",
         "an OpenSSH server offers it");
  }
  if (client_->offers_fsync()) {
    well("fsync", "offered");
  } else {
    note("fsync", "not offered: the server's word is all there is that a file is on its disk",
         "an OpenSSH server offers it");
  }
}

Task<void> Probe::look_at_directories() {
  co_await look_at_directory("directory", destination_.directory);
  if (!destination_.control_directory.empty()) {
    co_await look_at_directory("control directory", destination_.control_directory);
  }
}

/// The directory itself, or the one in which the first delivery would make it.
Task<void> Probe::look_at_directory(std::string name, std::string directory) {
  const auto nearest = co_await nearest_directory(directory);
  if (!nearest) {
    trouble(name, nearest.error(), "fix the path in the configuration, or make the directory");
    co_return;
  }
  const auto absolute = co_await client_->realpath(*nearest);
  if (!absolute) {
    trouble(name, absolute.error().with_context(*nearest), "");
    co_return;
  }
  if (*nearest != directory) {
    note(name, fmt::format("{} is not there yet: the first delivery makes it in {}", directory,
                           *absolute));
  }
  co_await try_directory(name, *absolute);
  if (name == "directory" && steps_.back().health == Health::kWell) {
    co_await try_large_files(*absolute);
  }
  co_await look_at_space(*absolute);
}

Task<Result<std::string>> Probe::nearest_directory(std::string path) {
  for (;;) {
    const auto attributes = co_await client_->stat(path);
    if (attributes) {
      if (!attributes->permissions || sftp::is_directory(*attributes)) co_return path;
      co_return make_error(ErrorKind::kDenied, "{} is not a directory", path);
    }
    if (attributes.error().kind != ErrorKind::kNotFound) {
      co_return attributes.error().with_context(path);
    }
    std::string parent = parent_of(path);
    if (parent == path) co_return attributes.error().with_context(path);
    path = std::move(parent);
  }
}

/// Everything that a delivery does, with two small files.
Task<void> Probe::try_directory(std::string name, std::string directory) {
  const std::string path = join_remote(directory, ".ferry-doctor." + uuid_v7());
  const std::string other = path + ".2";
  auto outcome = co_await write_file(path, name == "directory");
  if (outcome) outcome = co_await read_file(path);
  if (outcome) outcome = co_await write_file(other, false);
  if (outcome) {
    outcome = co_await client_->replace(other, path);
    if (!outcome) outcome = outcome.error().with_context("rename over an existing file");
  }
  // All that we made, whatever came of it.
  const auto removed = co_await client_->remove(path);
  [[maybe_unused]] const auto other_removed = co_await client_->remove(other);
  if (!outcome) {
    const bool is_denied = outcome.error().kind == ErrorKind::kDenied;
    trouble(name, outcome.error().with_context(directory),
            is_denied ? "let the account write there: owner and mode of the directory, or a "
                        "read-only account or server"
                      : "look at the server's log, and at its disk");
  } else if (!removed) {
    trouble(name, removed.error().with_context("remove " + path),
            "remove that file by hand; the account may make files there and not remove them");
  } else {
    well(name, directory + ": write, sync, read back, rename over a file and remove");
  }
}

/// As every agent does once for each server.
Task<void> Probe::try_large_files(std::string directory) {
  const auto possible =
      co_await try_many_handles(*client_, join_remote(directory, ".ferry-doctor." + uuid_v7()));
  if (!possible) {
    trouble("large files", possible.error().with_context(directory), "look at the server's log");
  } else if (*possible) {
    well("large files", "written over several connections, and resumed where a run ended");
  } else {
    note("large files",
         "each goes over one connection, in order, and begins anew when a run ends: here a file "
         "that "
         "is written through several handles is not what was written");
  }
}

Task<Result<void>> Probe::write_file(std::string path, bool measures_clock) {
  const auto before = now();
  const auto handle = co_await client_->open(
      path, sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenExclusive, kPermissions);
  if (!handle) co_return handle.error().with_context("create a file");
  const sftp::ByteSource source{
      .read = [&](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        std::ranges::copy(as_bytes(content_).subspan(offset, buffer.size()), buffer.begin());
        return {};
      }};
  const sftp::OnAcknowledged ignore = [](std::uint64_t, std::size_t) {};
  const auto attributes = co_await client_->write_and_close(
      *handle, std::move(path), content_.size(), client_->offers_fsync(), source, ignore);
  if (!attributes) co_return attributes.error();
  if (attributes->size.value_or(content_.size()) != content_.size()) {
    co_return make_error(ErrorKind::kFailed,
                         "the server has {} bytes of a file where {} were written",
                         *attributes->size, content_.size());
  }
  if (measures_clock && attributes->modified) {
    compare_clocks(*attributes->modified, before, now());
  }
  co_return Result<void>();
}

Task<Result<void>> Probe::read_file(std::string path) {
  const auto handle = co_await client_->open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error().with_context("read back");
  std::string found;
  const sftp::DataSink keep = [&](std::span<const std::byte> data) {
    found.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  const auto read = co_await client_->read(*handle, content_.size(), keep);
  [[maybe_unused]] const auto closed = co_await client_->close(*handle);
  if (!read) co_return read.error().with_context("read back");
  if (found == content_) co_return Result<void>();
  co_return make_error(ErrorKind::kFailed,
                       "read back: the server gives back other bytes than were written");
}

Task<void> Probe::look_at_space(std::string directory) {
  if (!client_->offers_statvfs()) co_return note("space", "the server does not tell it");
  const auto space = co_await client_->statvfs(directory);
  if (!space) {
    note("space", space.error().with_context(directory).message);
  } else if (space->available_bytes < std::max<std::uint64_t>(needed_bytes_, kProbeBytes)) {
    trouble("space",
            make_error(ErrorKind::kRemoteFull, "{}: {} bytes are free, {} wait to be delivered",
                       directory, space->available_bytes, needed_bytes_),
            "make room at the destination");
  } else {
    well("space", fmt::format("{}: {} bytes are free, {} wait to be delivered", directory,
                              space->available_bytes, needed_bytes_));
  }
}

void Probe::compare_clocks(std::uint32_t modified, Timestamp before, Timestamp after) {
  using std::chrono::seconds;
  const std::chrono::sys_seconds there{seconds(modified)};
  const auto ahead = std::chrono::floor<seconds>(there - after);
  const auto behind = std::chrono::floor<seconds>(before - there);
  const auto skew = std::max(ahead, behind);
  if (skew <= kToleratedSkew) return well("clock", "the server's agrees with ours");
  trouble("clock",
          make_error(ErrorKind::kFailed,
                     "the server's is {} seconds {} ours: the times of its files and logs do not "
                     "fit ours",
                     skew.count(), ahead > behind ? "ahead of" : "behind"),
          "let both hosts keep time (NTP)");
}

}  // namespace

std::vector<ProbeStep> probe_destination(const Destination& destination, std::uint64_t needed_bytes,
                                         StopToken& stop) {
  return Probe(destination, needed_bytes, stop).run();
}

}  // namespace ferry::transfer
