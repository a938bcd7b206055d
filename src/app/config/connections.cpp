#include "app/config/connections.h"

#include "ferry/base/input.h"
#include "ferry/base/log.h"
#include "ferry/sftp/transport_choice.h"

namespace ferry::app {
namespace {

constexpr std::size_t kLongestSecretFile = 1 << 20;

/// A secret's file holds it on its first line. It may be a pipe.
Result<std::string> read_secret(const fs::path& file) {
  auto text = read_input(file, kLongestSecretFile, stop_on_signals());
  if (!text) return text.error();
  return text->substr(0, text->find_first_of("\r\n"));
}

sftp::Transport transport_of(TransportSetting setting, const sftp::ConnectOptions& connect) {
  if (setting == TransportSetting::kLibssh2) return sftp::Transport::kLibssh2;
  if (setting == TransportSetting::kOpenSsh) return sftp::Transport::kOpenSsh;
  const auto choice = sftp::choose_transport(connect, stop_on_signals());
  if (!choice.reason.empty()) {
    log::debug("transport",
               {{"host", connect.host}, {"transport", "openssh"}, {"reason", choice.reason}});
  }
  return choice.transport;
}

}  // namespace

Result<sftp::ConnectOptions> resolve_connection(const ConnectionSettings& connection,
                                                const TransferSettings& transfer) {
  sftp::ConnectOptions connect;
  connect.host = connection.url.host;
  connect.port = connection.url.port;
  connect.user = connection.url.user;
  connect.identities = connection.identity;
  connect.use_agent = connection.use_agent;
  connect.known_hosts = connection.known_hosts;
  connect.accept_new_host_key = connection.accept_new_host_key;
  connect.legacy_algorithms = connection.legacy_algorithms;
  connect.timeout = transfer.connect_timeout;
  connect.limits = {.window_bytes = static_cast<std::size_t>(transfer.window.value),
                    .stall_timeout = transfer.stall_timeout};
  connect.password = connection.password;
  connect.passphrase = connection.passphrase;
  if (!connection.password_file.empty()) {
    auto secret = read_secret(connection.password_file);
    if (!secret) return secret.error().with_context("password_file");
    connect.password = std::move(*secret);
  }
  if (!connection.passphrase_file.empty()) {
    auto secret = read_secret(connection.passphrase_file);
    if (!secret) return secret.error().with_context("passphrase_file");
    connect.passphrase = std::move(*secret);
  }
  connect.transport = transport_of(connection.transport, connect);
  return connect;
}

Result<transfer::Destination> resolve_destination(const DestinationSettings& destination,
                                                  const TransferSettings& transfer) {
  auto connect = resolve_connection(destination, transfer);
  if (!connect) return connect.error();
  return transfer::Destination{
      .name = destination.name,
      .connect = std::move(*connect),
      .directory = destination.url.directory,
      .control_directory = destination.control_dir,
      .control_name = destination.control_name.pattern,
      .control = destination.control,
      .control_sign = destination.control_sign,
      .sidecar = destination.sidecar,
      .control_keep = destination.control_keep,
      .part_keep = destination.part_keep,
      .connections = static_cast<unsigned>(destination.connections.value),
      .bandwidth = destination.bandwidth_limit.value_or(transfer.bandwidth_limit)};
}

}  // namespace ferry::app
