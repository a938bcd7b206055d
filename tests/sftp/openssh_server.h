// A real OpenSSH server for tests: its own port, keys and folder, gone with the object.
//
//   OpenSshServer server({.config = {"RekeyLimit 16M"}});
//   auto channel = connect_libssh2(server.connect_options(), stop);
//   ... server.root() is an empty directory to upload into ...
//
// Works as root and as an ordinary user; logins are those of the user who runs the test. Whatever
// goes wrong while setting up throws std::runtime_error, which fails the test case.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/sftp/connect.h"
#include "temporary_directory.h"

// libssh2 1.10 leaks a few bytes with each login by a key of OpenSSH's format; for ECDSA these are
// BIGNUMs, whose allocation stacks end in libcrypto.
extern "C" __attribute__((used)) inline const char* __lsan_default_suppressions() {
  return "leak:libssh2.so\nleak:CRYPTO_zalloc\n";
}

namespace ferry::sftp::testing {

using ferry::testing::TemporaryDirectory;

/// Polls CONDITION until it holds; false where it did not within LIMIT.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path.native(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs a program with nothing on stdin; throws where it fails. Its output is discarded, unless
/// STDOUT_FILE says where it shall go.
inline void run_program(const std::vector<std::string>& argv, const std::string& stdout_file = {},
                        const std::vector<std::string>& extra_environment = {}) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (const std::string& entry : extra_environment)
    environment.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1,
                                   stdout_file.empty() ? "/dev/null" : stdout_file.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, argv[0].c_str(), &actions, nullptr, arguments.data(),
                                     environment.data());
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failure == 0) {
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (failure != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("cannot run " + argv[0]);
}

/// Makes PATH and PATH.pub.
inline void generate_key(const fs::path& path, const std::string& type,
                         const std::string& passphrase = {}) {
  run_program(
      {"ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", "test", "-f", path.native()});
}

/// A port of 127.0.0.1 that nobody listens on at the moment.
inline std::uint16_t unused_port() {
  UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

/// What the account's password is in the eyes of a server with accepts_password.
inline const std::string kPassword = "correct horse";
inline const std::string kPasswordHash =  // crypt(5)
    "$6$rounds=1000$ferrytest$."
    "P6Gfl9rgNgjJEoFr9Sw5cKz3JjZ8eJdABeCEreuRCTdLmO6bHuI5BqY2Dr739cmZHJQX6AteqTWpcukR/rNH.";

struct OpenSshServerOptions {
  std::vector<std::string> config = {};  // lines of sshd_config(5); they win over the fixture's
  std::vector<std::string> host_key_types = {"ed25519"};
  std::string sftp = "internal-sftp";  // or a program; empty: no such subsystem
  // These want a mount namespace of its own, into which nobody else on the machine sees: only where
  // can_have_own_mounts().
  bool accepts_password = false;  // kPassword, by an /etc/shadow of its own
  std::size_t root_bytes = 0;     // of a file system of its own at root()
};

class OpenSshServer {
 public:
  explicit OpenSshServer(OpenSshServerOptions options = {}) : options_(std::move(options)) {
    fs::create_directory(root());
    for (const std::string& type : options_.host_key_types) generate_key(host_key(type), type);
    std::ofstream(authorized_keys().native()).close();
    identity_ = authorized_key("user", "ed25519");
    start();
  }
  OpenSshServer(const OpenSshServer&) = delete;
  OpenSshServer& operator=(const OpenSshServer&) = delete;
  ~OpenSshServer() { stop(); }

  static bool can_have_own_mounts() {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool can = ::access("/etc/shadow", R_OK) == 0 && enter_mount_namespace();
      ::_exit(can ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status == 0;
  }

  std::string host() const { return "127.0.0.1"; }
  std::uint16_t port() const { return port_; }
  std::string user() const { return ::getpwuid(::geteuid())->pw_name; }
  fs::path root() const { return folder_.path() / "root"; }
  fs::path folder() const { return folder_.path(); }  // everything of this server
  const fs::path& identity() const { return identity_; }
  fs::path known_hosts() const { return folder_.path() / "known_hosts"; }
  fs::path host_key(const std::string& type) const { return folder_.path() / ("host_" + type); }
  std::string log() const { return slurp(log_file()); }

  ConnectOptions connect_options() const {
    ConnectOptions options;
    options.host = host();
    options.port = port();
    options.user = user();
    options.identities = {identity()};
    options.use_agent = false;
    options.known_hosts = {known_hosts()};
    options.timeout = std::chrono::seconds(10);
    return options;
  }

  /// A new key pair that may log in; returns the private key's path.
  fs::path authorized_key(const std::string& name, const std::string& type,
                          const std::string& passphrase = {}) {
    const fs::path path = unauthorized_key(name, type, passphrase);
    std::ofstream(authorized_keys().native(), std::ios::app) << slurp(path.native() + ".pub");
    return path;
  }

  /// A new key pair that the server does not know.
  fs::path unauthorized_key(const std::string& name, const std::string& type = "ed25519",
                            const std::string& passphrase = {}) const {
    fs::path path = folder_.path() / name;
    generate_key(path, type, passphrase);
    return path;
  }

  /// A known_hosts file that holds another key of the same type for this server.
  fs::path wrong_known_hosts(const std::string& type = "ed25519") const {
    const fs::path key = folder_.path() / ("wrong_host_" + type);
    if (!fs::exists(key)) generate_key(key, type);
    fs::path file = folder_.path() / "wrong_known_hosts";
    std::ofstream(file.native()) << known_hosts_line(key);
    return file;
  }

  /// "[127.0.0.1]:PORT TYPE BASE64\n" for the public half of KEY.
  std::string known_hosts_line(const fs::path& key) const {
    return "[" + host() + "]:" + std::to_string(port_) + " " + slurp(key.native() + ".pub");
  }

  /// Kills the server's end of all connections; it goes on to accept new ones.
  void cut_connections() {
    const std::vector<pid_t> sessions = descendants(pid_);
    for (const pid_t session : sessions) ::kill(session, SIGKILL);
    const auto is_gone = [&] {
      const std::vector<pid_t> alive = descendants(pid_);
      return std::none_of(sessions.begin(), sessions.end(), [&](pid_t session) {
        return std::find(alive.begin(), alive.end(), session) != alive.end();
      });
    };
    if (!eventually(is_gone)) throw std::runtime_error("sshd sessions do not end");
  }

  /// Stops all sessions where they are, as a dead line or a hung server would; thaw undoes it.
  void freeze_connections() { signal_sessions(SIGSTOP); }
  void thaw_connections() { signal_sessions(SIGCONT); }

  /// How many connections the server has; it may lag behind a client's close.
  std::size_t connection_count() const { return children(pid_).size(); }

  /// Ends the listener and all sessions. start() brings it back on the same port.
  void stop() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGSTOP);  // no new sessions while the old ones are killed
    for (const pid_t session : descendants(pid_)) ::kill(session, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  void start() {
    const bool keep_port = port_ != 0;
    for (int attempt = 0; attempt < 10; ++attempt) {
      if (!keep_port) port_ = unused_port();
      write_configuration();
      spawn();
      if (wait_until_ready()) return;
      stop();
    }
    throw std::runtime_error("sshd does not start: " + log());
  }

 private:
  fs::path log_file() const { return folder_.path() / "sshd.log"; }
  fs::path shadow_file() const { return folder_.path() / "shadow"; }
  fs::path config_file() const { return folder_.path() / "sshd_config"; }
  fs::path authorized_keys() const { return folder_.path() / "authorized_keys"; }

  void write_configuration() const {
    std::ofstream config(config_file().native());
    for (const std::string& line : options_.config) config << line << '\n';
    for (const std::string& type : options_.host_key_types)
      config << "HostKey " << host_key(type).native() << '\n';
    config << "ListenAddress 127.0.0.1:" << port_ << '\n'
           << "AuthorizedKeysFile " << authorized_keys().native() << '\n'
           << "PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nPrintMotd no\n"
           << "PermitRootLogin yes\nKbdInteractiveAuthentication no\n"
           << "LogLevel VERBOSE\n"
           // A program is started by the login shell, whose start-up files are none of a test's
           // business: bash reads them only if it is not below another one.
           << "SetEnv SHLVL=1\n";
    // Of this one keyword the last line wins.
    const bool has_max_startups =
        std::any_of(options_.config.begin(), options_.config.end(),
                    [](const std::string& line) { return line.starts_with("MaxStartups"); });
    if (!has_max_startups) config << "MaxStartups 100\n";
    if (!options_.sftp.empty()) config << "Subsystem sftp " << options_.sftp << '\n';

    if (options_.accepts_password) write_shadow();

    std::ofstream known(known_hosts().native());
    for (const std::string& type : options_.host_key_types)
      known << known_hosts_line(host_key(type));
  }

  /// The machine's, but for the account's password.
  void write_shadow() const {
    std::ifstream original("/etc/shadow");
    std::ofstream shadow(shadow_file().native());
    for (std::string line; std::getline(original, line);) {
      if (line.starts_with(user() + ":"))
        line = user() + ":" + kPasswordHash + ":19000:0:99999:7:::";
      shadow << line << '\n';
    }
    fs::permissions(shadow_file(), fs::owner_read);
  }

  static bool enter_mount_namespace() {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }

  void spawn() {
    const std::string shadow = shadow_file().native();
    const std::string own_root = root().native();
    const std::string size_option = "size=" + std::to_string(options_.root_bytes);
    const std::string config = config_file().native();
    const UniqueFd output(
        ::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const pid_t parent = ::getpid();
    // Tests are built one folder below the project's.
    const std::string sshd =
        (fs::read_symlink("/proc/self/exe").parent_path() / "../scripts/run_sshd.sh").string();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no server behind
    if (::getppid() != parent) ::_exit(127);
    const bool has_mounts = options_.accepts_password || options_.root_bytes > 0;
    const bool is_ready = (!has_mounts || enter_mount_namespace()) &&
                          (!options_.accepts_password || ::mount(shadow.c_str(), "/etc/shadow",
                                                                 nullptr, MS_BIND, nullptr) == 0) &&
                          (options_.root_bytes == 0 || ::mount("tmpfs", own_root.c_str(), "tmpfs",
                                                               0, size_option.c_str()) == 0);
    if (!is_ready) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, 0);
    ::dup2(nothing, 1);
    ::dup2(output.get(), 2);
    ::execl(sshd.c_str(), sshd.c_str(), "-D", "-e", "-f", config.c_str(), nullptr);
    ::_exit(127);
  }

  bool wait_until_ready() {
    const bool answers = eventually([this] { return exited() || gives_banner(); });
    // The probe's session must not count towards the test's MaxStartups.
    return answers && !exited() && eventually([this] { return connection_count() == 0; });
  }

  bool exited() {
    if (pid_ < 0) return true;
    if (::waitpid(pid_, nullptr, WNOHANG) == 0) return false;
    pid_ = -1;
    return true;
  }

  bool gives_banner() const {
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(probe.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    if (::connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      return false;
    std::array<char, 4> start{};
    return ::recv(probe.get(), start.data(), start.size(), MSG_WAITALL) == 4 &&
           std::string_view(start.data(), 4) == "SSH-";
  }

  void signal_sessions(int signal) const {
    for (const pid_t session : descendants(pid_)) ::kill(session, signal);
  }

  static std::multimap<pid_t, pid_t> process_tree() {  // parent to child
    std::multimap<pid_t, pid_t> tree;
    boost::system::error_code ignored;
    for (fs::directory_iterator entry("/proc", ignored), end; entry != end;
         entry.increment(ignored)) {
      const std::string name = entry->path().filename().native();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto read = read_file(entry->path() / "stat");
      if (!read) continue;  // it has just ended
      const std::string& status = *read;
      const std::size_t after_name = status.rfind(')');
      if (after_name == std::string::npos || status.size() < after_name + 5) continue;
      if (status[after_name + 2] == 'Z') continue;
      tree.emplace(std::atoi(status.c_str() + after_name + 4), std::atoi(name.c_str()));
    }
    return tree;
  }

  static std::vector<pid_t> children(pid_t parent) {
    std::vector<pid_t> found;
    const auto tree = process_tree();
    const auto [first, last] = tree.equal_range(parent);
    for (auto entry = first; entry != last; ++entry) found.push_back(entry->second);
    return found;
  }

  static std::vector<pid_t> descendants(pid_t ancestor) {
    std::vector<pid_t> found{ancestor};
    const auto tree = process_tree();
    for (std::size_t index = 0; index < found.size(); ++index) {
      const auto [first, last] = tree.equal_range(found[index]);
      for (auto entry = first; entry != last; ++entry) found.push_back(entry->second);
    }
    found.erase(found.begin());
    return found;
  }

  OpenSshServerOptions options_;
  TemporaryDirectory folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  fs::path identity_;
};

}  // namespace ferry::sftp::testing
