// What an agent works with, from round to round.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "transfer/batch/batch_closing.h"
#include "transfer/deliver/many_handles.h"
#include "transfer/deliver/session.h"
#include "transfer/run/agent_wait.h"
#include "transfer/run/feed.h"
#include "transfer/run/predecessors.h"
#include "transfer/run/serial_observer.h"
#include "transfer/run/tenure.h"
#include "transfer/source/landing_roots.h"
#include "transfer/source/source_opener.h"
#include "transfer/source/spool.h"

namespace ferry::transfer {

/// Belongs to the agent's thread, but for what is thread-safe by itself.
struct AgentCore {
  AgentCore(metastore::Metastore& store, const Destination& to, const TransferOptions& given,
            Observer& observing, const Following* follows, StopToken& stop_request)
      : metastore(store),
        destination(to),
        options(given),
        observer(observing),
        following(follows),
        stop(stop_request),
        limiter(to.bandwidth),
        loop(stop_request),
        sources(loop),
        spool(given.shared_spool),
        feed(store, to, given),
        closing(store, batch_context, observer, [this] { wait.wake(); }) {}
  AgentCore(const AgentCore&) = delete;
  AgentCore& operator=(const AgentCore&) = delete;

  metastore::Metastore& metastore;
  const Destination& destination;
  const TransferOptions& options;
  SerialObserver observer;
  const Following* following;  // null: a single run
  StopToken& stop;             // what is asked of us
  StopToken work_stop;         // follows it: workers begin nothing more
  StopToken cut;               // and, where they do not end: connections end
  StopToken last_cut;          // in its place for what is written down after a stop
  const BatchContext batch_context{destination, options, work_stop};
  RateLimiter limiter;
  AgentWait wait;

  LandingRoots roots;
  sftp::EventLoop loop;  // of this thread, for sources
  SourceOpener sources;  // on it
  std::shared_ptr<Spool> spool;
  Feed feed;
  std::set<std::string> readable;                   // landing areas
  std::unique_ptr<metastore::ChangeNotice> notice;  // of an agent that follows
  std::shared_ptr<metastore::AgentPresence> presence;
  Predecessors predecessors;

  /// Of the rounds that are over: what an observer is told is of all.
  std::uint64_t earlier_files = 0;
  std::uint64_t earlier_bytes = 0;

  std::optional<Session> session;
  KnownDirectories directories;
  /// Of the server that the last session has.
  std::optional<ManyHandles> many_handles{std::in_place, KnownServers(options.servers),
                                          destination.name};

  BatchClosing closing;
  std::optional<Failure> failure;  // what keeps us from claiming more
  std::optional<Error> lost;       // why files failed that had been claimed: no connection any more
  bool was_cut_short = false;      // something was left because of a stop

  /// Once it is true, nothing that others see is done any more.
  bool has_lost_claims() const {
    return is_lost(presence.get()) || predecessors.have_lost_claims();
  }
  /// FDS, and what tells that claims are lost.
  std::vector<int> and_losses(std::vector<int> fds) const {
    if (presence) fds.push_back(presence->lost_fd());
    predecessors.add_lost_fds(fds);
    return fds;
  }

  bool has_news() const {
    pollfd fd{notice->fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) > 0;
  }
};

}  // namespace ferry::transfer
