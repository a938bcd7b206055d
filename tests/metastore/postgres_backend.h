// A PostgreSQL server of our own for the tests: in a directory of its own, on a Unix socket, for as
// long as this process runs.
#pragma once

#include <doctest/doctest.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ferry/base/file.h"
#include "metastore/postgres/connection.h"
#include "temporary_directory.h"

namespace ferry::metastore::testing {

/// Where the newest PostgreSQL's programs are; empty: there are none.
inline std::string postgres_programs() {
  std::string newest;
  boost::system::error_code failure;
  for (fs::directory_iterator entry("/usr/lib/postgresql", failure), end; entry != end;
       entry.increment(failure)) {
    const std::string programs = (entry->path() / "bin").string();
    if (fs::exists(programs + "/postgres", failure)) newest = std::max(newest, programs);
  }
  return newest;
}

class PostgresServer {
 public:
  static PostgresServer& get() {
    static PostgresServer server;
    return server;
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer() { stop(SIGQUIT); }

  /// A new database's location; its tables are in a schema of their own.
  std::string make_database() {
    const std::string schema = fmt::format("test_{}_{}", ::getpid(), ++databases_);
    run("CREATE SCHEMA " + schema);
    return fmt::format("{}&options=-csearch_path%3D{}", location(), schema);
  }
  std::string location() const {
    return fmt::format("postgresql:///postgres?user=postgres&host={}", folder_.path().string());
  }

  void start() {
    server_ = spawn({programs_ + "/postgres", "-D", data(), "-k", folder_.path().string(), "-c",
                     "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c",
                     "log_min_messages=fatal", "-c", "autovacuum_naptime=5s"});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      auto remedy = postgres::Remedy::kNone;
      if (postgres::Connection::open(location(), std::chrono::seconds(5), remedy)) return;
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  /// SIGQUIT: as in a crash; SIGINT: as an administrator does.
  void stop(int signal) {
    if (owner_ != ::getpid() || server_ <= 0) return;
    ::kill(server_, signal);
    ::waitpid(server_, nullptr, 0);
    server_ = 0;
  }

  /// Returns the first column of the first row.
  std::string run(const std::string& sql) const {
    auto remedy = postgres::Remedy::kNone;
    const auto connection =
        postgres::Connection::open(location(), std::chrono::seconds(30), remedy);
    if (!connection) FAIL(connection.error().message);
    const auto rows = (*connection)->command(sql);
    if (!rows) FAIL(rows.error().message);
    return rows->count() == 0 ? std::string() : std::string(rows->text(0, 0));
  }

 private:
  PostgresServer() : programs_(postgres_programs()), owner_(::getpid()) {
    if (::geteuid() == 0) {
      account_ = ::getpwnam("postgres");
      REQUIRE(account_ != nullptr);
      REQUIRE(::chown(folder_.path().c_str(), account_->pw_uid, account_->pw_gid) == 0);
    }
    const pid_t made = spawn({programs_ + "/initdb", "-D", data(), "-U", "postgres", "-A", "trust",
                              "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"});
    int status = 0;
    REQUIRE(::waitpid(made, &status, 0) == made);
    REQUIRE(status == 0);
    start();
  }

  std::string data() const { return (folder_.path() / "data").string(); }

  /// As the server's account: it refuses to be root. It ends with us.
  pid_t spawn(const std::vector<std::string>& command) const {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child > 0) return child;
    if (account_ != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(account_->pw_gid) != 0 ||
                                ::setuid(account_->pw_uid) != 0)) {
      ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (::chdir("/") != 0 || ::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(126);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }

  const std::string programs_;
  const pid_t owner_;
  ferry::testing::TemporaryDirectory folder_;
  const passwd* account_ = nullptr;
  pid_t server_ = 0;
  int databases_ = 0;
};

}  // namespace ferry::metastore::testing
